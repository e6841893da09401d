"""Options and configuration files."""

import ipaddress
import json

import pytest
from conftest import DATA, FOUR_GROUPS, WINDOW

DEMO = DATA / "demo.pcap"


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "arrow"])
def test_the_same_bytes_for_any_number_of_workers(jj, tmp_path, form):
    outs = []
    for workers in (1, 2, 7):
        out = tmp_path / f"{workers}.{form}"
        jj("extract", DEMO, *FOUR_GROUPS, "--splt", "-f", form, "-o", out, "-w", workers)
        outs.append(out.read_bytes())
    assert outs[0] == outs[1] == outs[2]


def test_groups_choose_columns(rows):
    meta = set(rows(DEMO, "--features", "flow_meta")[0])
    timing = set(rows(DEMO, "--features", "timing")[0])
    both = set(rows(DEMO, "--features", "flow_meta", "--features", "timing")[0])
    assert "iat_mean" in timing and "iat_mean" not in meta
    assert both == meta | timing


def test_single_features(rows):
    found = rows(DEMO, "--feature", "duration", "--feature", "total_packets")
    assert {"duration", "total_packets"} <= set(found[0])
    assert "iat_mean" not in found[0]


def test_a_profile_has_the_features_of_those_within_it(jj, rows):
    listed = json.loads(jj("features", "-f", "json").out)
    order = ["JJ-CORE", "JJ-EXTENDED", "JJ-EXPERIMENTAL"]
    columns = list(rows(DEMO, "--features", "all")[0])
    for place, profile in enumerate(order):
        within = {f["name"] for f in listed if order.index(f["profile"]) <= place}
        assert list(rows(DEMO, "--profile", profile)[0]) == [name for name in columns if name in within]


def test_no_ips_and_no_ports(jj):
    out = jj("extract", DEMO, "--no-ips", "--no-ports", "-f", "json", "-o", "-").out
    assert "192.0.2." not in out and "2001:db8" not in out
    assert not {"src_ip", "dst_ip", "src_port", "dst_port"} & set(json.loads(out.splitlines()[0]))


def test_anonymised_addresses_are_keyed(jj, rows):
    plain, one, again, two = (
        [r["src_ip"] for r in rows(DEMO, *extra)]
        for extra in ((), ("--anonymize-ips", "--salt", "a"), ("--anonymize-ips", "--salt", "a"), ("--anonymize-ips", "--salt", "b"))
    )
    assert one == again != two
    assert len(set(one)) == len(set(plain))
    assert not set(one) & set(plain)
    assert "salt" in jj("extract", DEMO, "--anonymize-ips", "--salt", "", ok=False).err


def test_flow_ids_are_unique(rows):
    ids = [r["flow_id"] for r in rows(DEMO, "--flow-id")]
    assert len(set(ids)) == len(ids) and None not in ids


def test_timeout_splits_flows_at_its_gaps_and_nowhere_else(rows):
    whole, split = rows(DEMO), rows(DEMO, "--timeout", "0.1")
    assert sum(r["total_packets"] for r in split) == sum(r["total_packets"] for r in whole)
    assert max(r["iat_max"] or 0 for r in split) <= 0.1 < max(r["iat_max"] or 0 for r in whole)

    def ends(row):
        return (row["protocol"], frozenset([(row["src_ip"], row["src_port"]), (row["dst_ip"], row["dst_port"])]))

    parts = {}
    for row in sorted(split, key=lambda r: r["start_time"]):
        parts.setdefault(ends(row), []).append(row)
    several = 0
    for of_whole in whole:
        inside = [r for r in parts[ends(of_whole)] if of_whole["start_time"] <= r["start_time"] <= of_whole["end_time"]]
        assert sum(r["total_packets"] for r in inside) == of_whole["total_packets"]
        gaps = [after["start_time"] - before["end_time"] for before, after in zip(inside, inside[1:])]
        assert all(gap > 0.1 for gap in gaps)
        several += len(inside) > 1
    assert several > 0


def test_split_by_direction(rows):
    whole = rows(DEMO, *WINDOW)
    split = rows(DEMO, *WINDOW, "--bidir-split")
    assert [r.pop("direction") for r in split] == ["fwd", "bwd"] * len(whole)
    own = {"total_packets": "packets_{}", "iat_mean": "iat_{}_mean", "pkt_len_std": "pkt_len_{}_std", "total_bytes": "bytes_{}"}
    for flow, fwd, bwd in zip(whole, split[::2], split[1::2], strict=True):
        for name, value in flow.items():
            if "_bwd" in name or "_fwd" in name:
                assert (fwd[name], bwd[name]) == ((None, value) if "_bwd" in name else (value, None)), name
            elif isinstance(value, bool):
                assert fwd[name] == bwd[name] == value, name
        for name, of in own.items():
            assert [fwd[name], bwd[name]] == [flow[of.format("fwd")], flow[of.format("bwd")]], name
        for end in ["ip", "port"]:
            assert [fwd[f"src_{end}"], fwd[f"dst_{end}"]] == [flow[f"src_{end}"], flow[f"dst_{end}"]]
            assert [bwd[f"src_{end}"], bwd[f"dst_{end}"]] == [flow[f"dst_{end}"], flow[f"src_{end}"]]
        for same in ["start_time", "protocol", "end_reason", "app_protocol", "tls_sni", "ja4"]:
            assert fwd[same] == bwd[same] == flow[same], same


@pytest.mark.parametrize("capture", ["demo.pcap", "tunnels.pcap", "fragments.pcap", "snaplen_96.pcap"])
def test_sums_over_directions_are_sums_over_flows(jj, rows, capture):
    """Of each column that can be added up: its sum over rows is that over flows, or it has no value in rows."""
    units = {f["name"]: f["unit"] for f in json.loads(jj("features", "-f", "json").out)}
    whole = rows(DATA / capture, *WINDOW)
    split = rows(DATA / capture, *WINDOW, "--bidir-split")
    added = set()
    for name in (n for n in whole[0] if units[n] in ("count", "bytes")):
        for flow, *parts in zip(whole, split[::2], split[1::2], strict=True):
            found = [part[name] for part in parts if part[name] is not None]
            # Averages, extremes and lengths of one field are of a direction, and no sums.
            if any(word in name.split("_") for word in ("min", "max", "mean", "std", "median", "avg", "p25", "p75", "p90")):
                continue
            if found and flow[name] is not None:
                assert sum(found) == flow[name], (name, flow, parts)
                added.add(name)
    assert added >= {"total_packets", "total_bytes", "packets_fwd", "bytes_bwd"}
    if capture == "demo.pcap":
        assert added >= {"payload_bytes_total", "packets_with_payload", "l7_bytes_total", "tcp_total_retrans", "tcp_total_dup_acks"}


@pytest.mark.parametrize("longest", [50, 4])
def test_sequences_are_lists_of_the_first_packets(rows, longest):
    found = rows(DEMO, "--include-sequences", "--splt", "--max-sequence-length", longest)
    names = {k for r in found for k, v in r.items() if isinstance(v, list)}
    assert names == {f"{of}_sequence" for of in ("iat", "size", "payload", "direction", "flags")} | {"splt_direction", "splt_ps", "splt_piat_ms"}
    for row in found:
        for name in names:
            assert len(row[name]) == min(row["total_packets"], longest), name
        if row["total_packets"] <= longest:
            assert sum(row["size_sequence"]) == row["total_bytes"]
            assert sum(row["payload_sequence"]) == row["payload_bytes_total"]


@pytest.mark.parametrize(
    "name,text",
    [
        ("c.toml", "flow_timeout = 0.1\nfeatures = ['flow_meta']\n"),
        ("c.yaml", "flow_timeout: 0.1\nfeatures: [flow_meta]\n"),
        ("c.json", '{"flow_timeout": 0.1, "features": ["flow_meta"]}'),
    ],
)
def test_config_file_is_the_options(rows, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert rows(DEMO, "-c", tmp_path / name) == rows(DEMO, "--timeout", "0.1", "--features", "flow_meta")


def test_an_option_overrides_the_file(rows, tmp_path):
    (tmp_path / "c.toml").write_text("flow_timeout = 0.1\n")
    assert rows(DEMO, "-c", tmp_path / "c.toml", "--timeout", "60") == rows(DEMO)


def test_unknown_key_is_refused_with_the_nearest(jj, tmp_path):
    (tmp_path / "c.toml").write_text("flow_timeoot = 5\n")
    err = jj("extract", DEMO, "-c", tmp_path / "c.toml", ok=False).err
    assert "flow_timeoot" in err and "flow_timeout" in err


def test_no_fin_split_is_the_nfstream_definition(rows, tmp_path):
    (tmp_path / "c.json").write_text('{"terminate_on_fin_rst": false, "flow_timeout": 1e9}')
    found = rows(DEMO, "-c", tmp_path / "c.json")
    keys = [(r["protocol"], frozenset([(r["src_ip"], r["src_port"]), (r["dst_ip"], r["dst_port"])])) for r in found]
    assert len(set(keys)) == len(keys)


def test_unknown_feature_is_refused_with_the_nearest(jj):
    err = jj("extract", DEMO, "--feature", "iat_meen", ok=False).err
    assert "iat_meen" in err and "iat_mean" in err


@pytest.mark.parametrize("option", [["--features", "ja4plus"], ["--feature", "ja4s"]])
def test_ja4plus_is_refused_with_its_licence_and_the_way_out(jj, option):
    err = jj("extract", DEMO, *option, ok=False).err
    assert option[1] in err and "FoxIO License 1.1" in err and "--features ja4plus" in err


def test_unknown_group_is_refused_with_the_nearest(jj):
    err = jj("extract", DEMO, "--features", "timming", ok=False).err
    assert "timming" in err and "timing" in err


def test_addresses_are_addresses(rows):
    for r in rows(DEMO, "--features", "flow_meta"):
        ipaddress.ip_address(r["src_ip"])


def test_flags_of_the_metrics_server_need_the_server(jj):
    for flag, given in (("--prometheus-addr", "127.0.0.1"), ("--prometheus-linger", "1"), ("--prometheus-web-config", "web.yml")):
        err = jj("extract", DATA / "few.pcap", "-f", "csv", "-o", "-", flag, given, ok=False).err
        assert "--prometheus-port" in err


def test_missing_takes_the_word_null_in_every_form(jj, tmp_path):
    config = tmp_path / "c.json"
    config.write_text('{"missing": null}')
    for arguments in (["--set", "missing=null"], ["-c", config]):
        jj("extract", DATA / "few.pcap", "-f", "csv", "-o", "-", *arguments)


def test_labels_of_flows_come_from_a_file(jj, rows, tmp_path):
    plain = rows(DEMO)
    web = [r for r in plain if 80 in (r["src_port"], r["dst_port"])]
    one, last = web[0], plain[-1]
    lines = [
        "Source IP,Source Port,Destination IP,Destination Port,Protocol,start_time,Label",
        # Of one connection, with its ends the other way around.
        f"{one['dst_ip']},{one['dst_port']},{one['src_ip']},{one['src_port']},tcp,{one['start_time']},\"this, one\"",
        ",,,80,6,,web",
        f"{last['src_ip']},{last['src_port'] or ''},{last['dst_ip']},{last['dst_port'] or ''},,,last",
    ]
    file = tmp_path / "labels.csv"
    file.write_text("\n".join(lines) + "\n")
    found = rows(DEMO, "--labels", file)
    assert list(found[0])[-1] == "label"
    assert [{k: v for k, v in r.items() if k != "label"} for r in found] == plain
    of = [r["label"] for r in found]
    assert of[plain.index(one)] == "this, one" and of[-1] == ("web" if last in web else "last")
    assert len(web) > 1 and {of[plain.index(r)] for r in web[1:]} == {"web"}
    assert None in of
    file.write_text("dst_port,start_time,label\n443,7/7/2017 1:56,x\n")
    failed = jj("extract", DEMO, "--labels", file, "-o", "-", ok=False)
    assert failed.returncode == 2 and f"{file}: line 2: '7/7/2017 1:56' is no time" in failed.err
    failed = jj("extract", DEMO, "--labels", tmp_path / "none.csv", "-o", "-", ok=False)
    assert failed.returncode == 2 and f"{tmp_path / 'none.csv'}: No such file" in failed.err
    assert "label is null" in jj("extract", DEMO, "--features", "labels", "-f", "csv", "-o", "-").err
