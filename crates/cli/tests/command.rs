//! The command as its users run it: exit codes, what goes where, and what is left behind.

#![allow(clippy::unwrap_used)] // a test's helpers may fail it

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name).display().to_string()
}

fn jj(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jj")).args(args).env_remove("JJ_ANON_SALT").output().unwrap()
}

fn out(o: &Output) -> String {
    String::from_utf8(o.stdout.clone()).unwrap()
}

fn err(o: &Output) -> String {
    String::from_utf8(o.stderr.clone()).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn file(dir: &tempfile::TempDir, name: &str) -> PathBuf {
    dir.path().join(name)
}

#[test]
fn rows_go_to_standard_output_and_words_to_standard_error() {
    let o = jj(&["extract", &sample("demo.pcap"), "--features", "flow_meta", "--summary", "json"]);
    assert!(o.status.success(), "{}", err(&o));
    let text = out(&o);
    let rows = text.lines().count() - 1;
    assert!(text.starts_with("src_ip,dst_ip,src_port") && rows > 10);
    let summary: Value = serde_json::from_str(&err(&o)).unwrap();
    assert_eq!(summary["rows"], rows);
    let number = |v: &Value| v.as_u64().unwrap();
    let skipped: u64 = summary["skipped"].as_object().unwrap().values().map(number).sum();
    assert_eq!(number(&summary["frames"]), number(&summary["flow_packets"]) + skipped);
    assert!(jj(&["extract", &sample("demo.pcap"), "-q"]).stderr.is_empty());
}

#[test]
fn the_extension_of_the_output_is_the_format() {
    let dir = folder();
    for (name, magic) in [("f.parquet", "PAR1"), ("f.arrow", "ARROW1"), ("f.jsonl", "{\"src_ip\""), ("f.csv", "src_ip")]
    {
        let path = file(&dir, name);
        let o = jj(&["extract", &sample("few.pcap"), "-o", path.to_str().unwrap()]);
        assert!(o.status.success() && o.stdout.is_empty(), "{}", err(&o));
        assert!(fs::read(&path).unwrap().starts_with(magic.as_bytes()), "{name}");
    }
    let o = jj(&["extract", &sample("few.pcap"), "-o", file(&dir, "f.xls").to_str().unwrap()]);
    assert_eq!(o.status.code(), Some(2));
    assert!(err(&o).contains("with -f"));
}

#[test]
fn a_capture_from_a_pipe_gives_the_same_rows() {
    let bytes = fs::read(sample("demo.pcap")).unwrap();
    // Without a window, rows of a stream have no columns of the graph of connections.
    let options = ["-f", "json", "-q", "--set", "connection_window=60"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_jj"))
        .args(["extract", "-"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
    let piped = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    let demo = sample("demo.pcap");
    let read = jj(&[["extract", &demo].as_slice(), &options].concat());
    assert!(piped.status.success());
    assert_eq!(out(&piped), out(&read));
    assert!(out(&read).lines().all(|l| serde_json::from_str::<Value>(l).is_ok()));
}

#[test]
fn all_is_told_of_a_feature_that_is_named() {
    let card = out(&jj(&["features", "tls_version"]));
    for says in
        ["tls_version\n", "  formula      SH.supported_versions, else", "  range        0 to 65535\n", "In formulas\n"]
    {
        assert!(card.contains(says), "{says}: {card}");
    }
    let listed: Value = serde_json::from_str(&out(&jj(&["features", "tcp-rtt", "tls_sni", "-f", "json"]))).unwrap();
    let listed = listed.as_array().unwrap();
    assert_eq!((listed.len(), &listed[10]["privacy"], &listed[0]["since"]), (11, &"name".into(), &"0.1.6".into()));
    let csv = out(&jj(&["features", "-f", "csv"]));
    assert!(
        csv.starts_with("name,group,type,unit,profile,privacy,direction,description,formula,range,null,source,since\n")
    );
}

#[test]
fn a_capture_cut_short_is_a_warning_and_not_a_failure() {
    let o = jj(&["extract", &sample("cut_short.pcap")]);
    assert!(o.status.success());
    assert!(err(&o).contains("warning: ") && err(&o).contains("offset"), "{}", err(&o));
    assert!(out(&o).lines().count() > 1);
}

#[test]
fn errors_are_one_line_with_a_code() {
    let dir = folder();
    let text = file(&dir, "notes.pcap");
    fs::write(&text, "these are no packets\n").unwrap();
    let config = file(&dir, "jj.yaml");
    fs::write(&config, "flow_timeout: 5\nflow_timout: 3\n").unwrap();
    let few = sample("few.pcap");
    for (args, code, says) in [
        (vec!["extract", text.to_str().unwrap()], 1, "not a capture"),
        (vec!["extract", "there_is_no_such.pcap"], 1, "there_is_no_such.pcap"),
        (vec!["extract", &few, "--features", "timng"], 2, "did you mean 'timing'?"),
        (vec!["extract", &few, "--timeout", "-1"], 2, "flow_timeout = -1: must be"),
        (vec!["extract", &few, "--timeout", "abc"], 2, "'abc' for '--timeout <SECONDS>': must be a number"),
        (vec!["extract", &few, "--timeout=0"], 2, "flow_timeout = 0: must be"),
        (vec!["extract", &few, "--anonymize-ips"], 2, "JJ_ANON_SALT"),
        (vec!["extract", &few, "--anonymize"], 2, "JJ_ANON_SALT"),
        (vec!["extract", &few, "-c", config.to_str().unwrap()], 2, "jj.yaml:2: unknown option 'flow_timout'"),
        (
            vec!["extract", &few, "--features", "iat_mean"],
            2,
            "name it in specific_features (on the command line: --feature)",
        ),
        (vec!["extract", &few, "-f", "csv", "-o", "x.parquet"], 2, "leave -f out, or write -o x.csv"),
        (
            vec!["extract", &few, "--features", "size", "--no-ips", "--profile", "core", "--feature", "src_ip"],
            2,
            "--features GROUP",
        ),
        (vec!["extract", &few, "--set", "burst=1"], 2, "burst_threshold_ms"),
        (vec!["extract", &few, "--set", "worker=1"], 2, "unknown option 'worker'; docs/configuration.md has them"),
        (vec!["features", "--group", "tpc"], 2, "did you mean 'tcp'?"),
        (vec!["features", "iat_maen"], 2, "unknown feature or group 'iat_maen' (did you mean 'iat_mean'?)"),
        (vec!["features", "iat_mean", "--group", "tcp"], 2, "cannot be used with"),
        (vec!["extract", &few, "-f", "parquet", "-o", "x/", "--partition-by", "nope"], 2, "there is no column 'nope'"),
        (vec!["extract", "-", "--slice", "1/2", "-o", "x.csv"], 2, "save the capture first"),
        (vec!["extract", &few, "-f", "postgres", "--db-url", "mysql://x/y"], 2, "write postgresql://"),
        (
            vec!["features", "direction"],
            2,
            "direction is no feature, but a column that --bidir-split adds: Direction of the row",
        ),
        (vec!["export-alerts", "--for", "sensors"], 2, "'sensor'"),
        (vec!["profiles", "show", "JJ-CRE"], 2, "did you mean 'JJ-CORE'?"),
    ] {
        let o = jj(&args);
        assert_eq!(o.status.code(), Some(code), "{args:?}: {}", err(&o));
        assert!(err(&o).starts_with("error: ") && err(&o).contains(says), "{args:?}: {}", err(&o));
        assert!(o.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn options_override_the_file() {
    let dir = folder();
    let config = file(&dir, "jj.json");
    fs::write(&config, r#"{"features": ["tcp"], "include_ports": false}"#).unwrap();
    let config = config.to_str().unwrap();
    let names = |args: &[&str]| out(&jj(&[&["schema", "-f", "names", "-c", config], args].concat()));
    assert!(names(&[]).lines().all(|n| n.starts_with("tcp_")));
    let wider = names(&["--features", "flow_meta"]);
    assert!(wider.contains("src_ip\n") && !wider.contains("src_port\n") && !wider.contains("tcp_"));
    assert!(names(&["--features", "flow_meta", "--set", "include_ports=true"]).contains("src_port\n"));
}

#[test]
fn addresses_are_left_out_or_replaced() {
    let few = sample("few.pcap");
    let plain = out(&jj(&["extract", &few, "--features", "flow_meta", "-q"]));
    let address = plain.lines().nth(1).unwrap().split(',').next().unwrap().to_owned();
    let keyed = out(&jj(&["extract", &few, "--features", "flow_meta", "-q", "--anonymize-ips", "--salt", "s"]));
    assert!(!keyed.contains(&address) && keyed.starts_with("src_ip,"));
    assert!(!out(&jj(&["extract", &few, "--features", "flow_meta", "-q", "--no-ips"])).contains("src_ip"));
}

#[test]
fn info_tells_what_a_capture_is() {
    let o = jj(&["info", "--json", &sample("big_endian_ns.pcap")]);
    let v: Value = serde_json::from_str(&out(&o)).unwrap();
    assert_eq!(v["captures"][0]["byte_order"], "big-endian");
    assert_eq!(v["captures"][0]["resolution"], "1 ns");
    assert!(v["flows"].as_u64().unwrap() > 0 && v["first_time"].as_str().unwrap().ends_with('Z'));
    let text = out(&jj(&["info", &sample("few.pcap")]));
    assert!(text.contains("Link types:") && text.contains("ETHERNET (1)"), "{text}");
}

#[test]
fn rows_have_the_features_of_their_profile() {
    let dir = folder();
    let path = file(&dir, "rows.csv");
    let path = path.to_str().unwrap();
    jj(&["extract", &sample("few.pcap"), "-o", path, "-q"]);
    let o = jj(&["profiles", "validate", path, "--profile", "JJ-CORE"]);
    assert!(o.status.success(), "{}", out(&o));
    fs::write(path, "src_ip,iat_meen\n1,2\n").unwrap();
    let o = jj(&["profiles", "validate", path]);
    assert_eq!(o.status.code(), Some(1));
    assert_eq!(out(&o), "unknown: iat_meen (did you mean 'iat_mean'?)\n");
}

/// Whether this machine has a compiler for filters.
fn filters() -> bool {
    let there = jj(&["extract", &sample("few.pcap"), "--filter", "ip", "-q"]).status.success();
    if !there {
        eprintln!("skipped: no libpcap");
    }
    there
}

#[test]
fn a_filter_chooses_frames() {
    let demo = sample("demo.pcap");
    let nowhere = ["extract", &demo, "--filter", "ip"];
    let o = Command::new(env!("CARGO_BIN_EXE_jj")).args(nowhere).env("JOYFULJAY_LIBPCAP", "/no/libpcap.so").output();
    let o = o.unwrap();
    assert_eq!((o.status.code(), o.stdout.len()), (Some(2), 0));
    assert!(err(&o).contains("JOYFULJAY_LIBPCAP is /no/libpcap.so") && err(&o).contains("install it"), "{}", err(&o));
    if !filters() {
        return;
    }
    let summary = |filter: &str| {
        let o = jj(&["extract", &demo, "--filter", filter, "--feature", "protocol,dst_port", "--summary", "json"]);
        assert!(o.status.success(), "{}", err(&o));
        // Before the summary there may be warnings.
        let json = err(&o).lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).unwrap();
        (out(&o), err(&o), json)
    };
    let (rows, _, json) = summary("tcp port 443");
    assert!(rows.lines().skip(1).all(|row| row == "6,443") && rows.lines().count() > 2, "{rows}");
    let number = |name: &str| json[name].as_u64().unwrap();
    assert_eq!(number("frames"), 662);
    assert_eq!(number("frames_filtered") + number("flow_packets"), 662);
    let (rows, said, json) = summary("host 198.51.100.77");
    assert_eq!((rows.lines().count(), json["frames_filtered"].as_u64()), (1, Some(662)));
    assert!(said.contains("none of the 662 frames matches the filter"), "{said}");
    let text = out(&jj(&["info", &demo, "--filter", "udp"]));
    assert!(text.contains("Matching:") && text.contains("(udp)"), "{text}");
    // One of its link types is not for this filter: the others are read.
    let o = jj(&["extract", &sample("link_types.pcapng"), "--filter", "ether proto 0x0800", "-q", "-v"]);
    assert!(o.status.success() && out(&o).lines().count() > 2);
    for (file, filter, code, says) in [
        ("few.pcap", "tcp and", 2, "syntax error"),
        ("few.pcap", "prot 80", 2, "filter 'prot 80'"),
        ("few.pcap", "type mgt", 1, "ETHERNET (1)"),
    ] {
        let o = jj(&["extract", &sample(file), "--filter", filter]);
        assert_eq!((o.status.code(), out(&o).as_str()), (Some(code), ""), "{filter}");
        assert!(err(&o).contains(says), "{}", err(&o));
    }
}

#[test]
fn frames_can_be_saved() {
    let dir = folder();
    let (saved, rows) = (file(&dir, "saved.pcapng"), file(&dir, "rows.csv"));
    let (saved, rows) = (saved.to_str().unwrap(), rows.to_str().unwrap());
    let o = jj(&["extract", &sample("demo.pcap"), "-o", rows, "--save-pcap", saved]);
    assert!(o.status.success() && err(&o).contains("saved 662 packets in 1 file"), "{}", err(&o));
    let again = out(&jj(&["extract", saved, "-q"]));
    assert_eq!(fs::read_to_string(rows).unwrap(), again);
    // Onto the capture itself, or where another run writes.
    let o = jj(&["extract", saved, "--save-pcap", saved]);
    assert_eq!(o.status.code(), Some(2), "{}", err(&o));
    fs::write(format!("{saved}.part"), "").unwrap();
    let o = jj(&["extract", &sample("demo.pcap"), "--save-pcap", saved]);
    assert_eq!((o.status.code(), o.stdout.len()), (Some(2), 0), "{}", err(&o));
    let parts = file(&dir, "parts");
    fs::create_dir(&parts).unwrap();
    let name = parts.join("p.pcapng");
    let args =
        ["extract", &sample("demo.pcap"), "-q", "--save-pcap", name.to_str().unwrap(), "--save-pcap-seconds", "5"];
    assert_eq!(out(&jj(&args)), again);
    assert!(fs::read_dir(&parts).unwrap().count() > 2);
    assert_eq!(out(&jj(&["extract", parts.to_str().unwrap(), "-q"])), again);
}

#[test]
fn both_names_are_one_command() {
    let long = Command::new(env!("CARGO_BIN_EXE_joyfuljay")).args(["schema", "-f", "names"]).output().unwrap();
    assert_eq!(out(&long), out(&jj(&["schema", "-f", "names"])));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(out(&jj(&["completions", shell])).contains("jj"));
    }
}

/// A live capture ends by a signal: what it gave is finished, and the run is a success.
#[cfg(unix)]
#[test]
fn a_signal_stops_a_run_over_a_pipe_and_its_rows_are_whole() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_jj"))
        .args(["extract", "-", "-f", "csv", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&fs::read(sample("demo.pcap")).unwrap()).unwrap();
    // The header line says that the run has begun.
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut header = String::new();
    stdout.read_line(&mut header).unwrap();
    assert!(header.starts_with("src_ip,"), "{header}");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let rows = stdout.lines().map_while(Result::ok).count();
    let o = child.wait_with_output().unwrap();
    assert_eq!(o.status.code(), Some(0), "{}", err(&o));
    let whole = jj(&["extract", &sample("demo.pcap"), "-q"]);
    assert_eq!(rows, out(&whole).lines().count() - 1);
    drop(stdin);
}

#[cfg(target_os = "linux")]
#[test]
fn what_capturing_misses_is_said_in_the_words_of_the_system() {
    let o = jj(&["live", "lo", "--check", "-o", "/no/such/folder/x.csv"]);
    assert_eq!(o.status.code(), Some(1));
    assert!(err(&o).contains("missing  output: ") && err(&o).contains("No such file or directory\n"), "{}", err(&o));
}

#[test]
fn runbooks_name_options_that_there_are() {
    let command = joyfuljay_cli::command();
    let options: Vec<_> =
        command.get_subcommands().flat_map(|c| c.get_arguments()).filter_map(|arg| arg.get_long()).collect();
    let mut found = 0;
    for page in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbooks")).unwrap() {
        let text = fs::read_to_string(page.unwrap().path()).unwrap();
        for (_, rest) in text.match_indices("--").map(|(at, dashes)| text.split_at(at + dashes.len())) {
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            assert!(options.contains(&name.as_str()), "--{name} is no option");
            found += 1;
        }
    }
    assert!(found > 4, "{found}");
}

#[test]
fn help_fits_eighty_columns_and_has_one_port() {
    let command = joyfuljay_cli::command();
    for sub in command.get_subcommands().chain([&command]) {
        let text = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in text.lines().filter(|line| line.starts_with("  ")) {
            assert!(line.chars().count() <= 80, "{}: {line}", sub.get_name());
        }
        assert!(!text.contains("9090 ") && !text.contains(":9090"), "{}: 9090 is Prometheus itself", sub.get_name());
    }
}

#[test]
fn completions_offer_the_names_that_there_are() {
    let script = out(&jj(&["completions", "bash"]));
    for (option, names) in [
        ("--features", "flow_meta timing"),
        ("--group", "flow_meta timing"),
        ("--feature", "src_ip dst_ip"),
        ("--profile", "JJ-CORE JJ-EXTENDED"),
        ("--for", "sensor batch"),
    ] {
        // The line behind that of an option has its values.
        let places: Vec<_> = script.match_indices(&format!(" {option})\n")).collect();
        assert!(!places.is_empty(), "{option}");
        for (at, _) in places {
            let line = script[at..].lines().nth(1).unwrap_or_default();
            assert!(line.contains(names), "{option}: {line}");
        }
    }
    assert!(script.contains("csv json parquet arrow sqlite postgres kafka"));
    let show = script.split("jj__subcmd__profiles__subcmd__show)").nth(1).unwrap();
    assert!(show.lines().nth(1).unwrap().contains("JJ-CORE"), "{show}");
    assert_eq!(out(&jj(&["version"])), out(&jj(&["--version"])));
}

#[test]
fn types_have_one_name() {
    let schema = out(&jj(&["schema", "--features", "flow_meta,timestamps,splt", "-f", "json"]));
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let features = out(&jj(&["features", "-f", "csv"]));
    let mut compared = 0;
    for column in schema["columns"].as_array().unwrap() {
        let (name, kind) = (column["name"].as_str().unwrap(), column["type"].as_str().unwrap());
        let row = features.lines().find(|line| line.starts_with(&format!("{name},"))).unwrap();
        assert!(row.contains(&format!(",{kind},")) || row.contains(&format!(",\"{kind}\",")), "{name} {kind}: {row}");
        compared += 1;
    }
    assert!(compared > 30);
}

#[test]
fn profiles_read_the_schema_of_columnar_files() {
    let dir = folder();
    for name in ["flows.parquet", "flows.arrow"] {
        let path = file(&dir, name);
        let path = path.to_str().unwrap();
        assert!(jj(&["extract", &sample("few.pcap"), "-o", path, "--features", "flow_meta", "-q"]).status.success());
        let o = jj(&["profiles", "validate", path]);
        assert!(out(&o).ends_with("columns are known\n"), "{}{}", out(&o), err(&o));
    }
    let cut = file(&dir, "cut.parquet");
    fs::write(&cut, b"PAR1 and nothing more").unwrap();
    let o = jj(&["profiles", "validate", cut.to_str().unwrap()]);
    assert_eq!(o.status.code(), Some(1));
    assert!(err(&o).contains("cut.parquet: not a whole Parquet file"), "{}", err(&o));
}
