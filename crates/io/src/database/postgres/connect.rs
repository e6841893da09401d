//! Connections to a server: where it is and who one is, as libpq finds it out.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};
use rustls::ClientConfig;

use super::tls::{self, Mode, Tls};

/// A server that does not answer is told of before anybody loses patience.
const CONNECT: Duration = Duration::from_secs(10);

/// A peer that takes nothing for so long is gone.
const UNHEARD: Duration = Duration::from_secs(60);

/// A server, and how it is connected to.
#[derive(Clone)]
pub(super) struct Server {
    config: Config,
    /// None: without TLS.
    tls: Option<Arc<ClientConfig>>,
    /// Whether it may be without TLS where it cannot be with it.
    or_plain: bool,
}

/// The server, from the address and the environment; and what is to be said of it.
pub(super) fn server(url: &str) -> Result<(Server, Vec<String>), String> {
    let mut notes = Vec::new();
    let (address, said) = tls::split(url);
    // The message may hold the address with its password.
    let mut config = Config::from_str(&address)
        .map_err(|_| "the address is not understood: write postgresql://user@host:port/database".to_owned())?;
    if config.get_hosts().is_empty() {
        // By which a certificate is looked at.
        for address in config.get_hostaddrs().to_vec() {
            config.host(&address.to_string());
        }
    }
    if config.get_hosts().is_empty() {
        match variable("PGHOST") {
            Some(host) => config.host(&host),
            None if cfg!(unix) => config.host_path("/var/run/postgresql"),
            None => config.host("localhost"),
        };
    }
    if config.get_ports().is_empty() {
        let port = variable("PGPORT").and_then(|port| port.parse().ok());
        config.port(port.unwrap_or(5432));
    }
    if config.get_user().is_none() {
        let user = ["PGUSER", "USER", "LOGNAME", "USERNAME"].iter().find_map(|name| variable(name));
        config.user(&user.ok_or("the address names no user: write postgresql://user@host/database")?);
    }
    if config.get_dbname().is_none() {
        let user = config.get_user().unwrap_or_default().to_owned();
        config.dbname(&variable("PGDATABASE").unwrap_or(user));
    }
    if config.get_password().is_none() {
        let password = variable("PGPASSWORD").or_else(|| from_file(&config, &mut notes));
        if let Some(password) = password {
            config.password(password);
        }
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNHEARD);
    }
    if config.get_application_name().is_none() {
        config.application_name("joyfuljay");
    }
    let (mode, tls) = said.resolve()?;
    // As with libpq, what is said of TLS is not for the sockets of this machine.
    let is_socket = |host: &Host| !matches!(host, Host::Tcp(_));
    let tls = tls.filter(|_| !config.get_hosts().iter().all(is_socket));
    config.ssl_mode(match mode {
        _ if tls.is_none() => SslMode::Disable,
        Mode::Disable => SslMode::Disable,
        Mode::Prefer => SslMode::Prefer,
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
    });
    Ok((Server { config, tls, or_plain: mode == Mode::Prefer }, notes))
}

impl Server {
    /// Connects.
    pub(super) fn connect(&self) -> Result<Client, postgres::Error> {
        let Some(tls) = &self.tls else { return self.config.connect(NoTls) };
        let connected = self.config.connect(Tls(Arc::clone(tls)));
        match &connected {
            // The server has no place for this user under TLS, or no TLS that is spoken here.
            Err(error)
                if self.or_plain
                    && (tls::is_refused(error)
                        || error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)) =>
            {
                let mut plain = self.config.clone();
                plain.ssl_mode(SslMode::Disable).connect(NoTls)
            }
            _ => connected,
        }
    }
}

/// Whether an error is that of a connection that is gone or of a server that comes back: the same may succeed later.
pub(super) fn is_passing(error: &postgres::Error) -> bool {
    use std::error::Error;
    match error.code() {
        Some(code) => {
            [
                &SqlState::ADMIN_SHUTDOWN,
                &SqlState::CRASH_SHUTDOWN,
                &SqlState::CANNOT_CONNECT_NOW,
                &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                &SqlState::T_R_SERIALIZATION_FAILURE,
                &SqlState::T_R_DEADLOCK_DETECTED,
                &SqlState::TOO_MANY_CONNECTIONS,
            ]
            .contains(&code)
                || code.code().starts_with("08")
                // idle_session_timeout
                || code.code() == "57P05"
        }
        None => error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()),
    }
}

/// What the server says, with the way out.
pub(super) fn problem(error: &postgres::Error) -> String {
    use std::error::Error;
    let Some(said) = error.as_db_error() else {
        return match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
    };
    let mut text = format!("{}: {}", said.severity(), said.message());
    for more in [said.detail(), said.hint(), said.where_()].into_iter().flatten() {
        text.push_str(&format!("; {more}"));
    }
    let code = said.code();
    text.push_str(if *code == SqlState::LOCK_NOT_AVAILABLE {
        ": another session holds the table or makes one; end that, or wait longer (--db-timeout)"
    } else if *code == SqlState::INVALID_PASSWORD {
        ": give the password by PGPASSWORD or in ~/.pgpass"
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        ": the user needs to be allowed to make the table and the table joyfuljay_runs, or, where they are there, to insert into the \
         one and to select, insert and update in the other"
    } else if *code == SqlState::DISK_FULL {
        ": the server's disk is full"
    } else {
        ""
    });
    text
}

pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The password by the password file.
fn from_file(config: &Config, notes: &mut Vec<String>) -> Option<String> {
    let path = variable("PGPASSFILE")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".pgpass")))?;
    let meta = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    if others_may_read(&meta) {
        let path = path.display();
        notes.push(format!("{path} is passed over, as others may read it: chmod 0600 {path}"));
        return None;
    }
    let text = fs::read_to_string(&path).ok()?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().map_or_else(String::new, u16::to_string);
    let wanted = [host.as_str(), &port, config.get_dbname().unwrap_or_default(), config.get_user().unwrap_or_default()];
    text.lines().find_map(|line| password_of(line, wanted))
}

#[cfg(unix)]
fn others_may_read(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn others_may_read(_meta: &fs::Metadata) -> bool {
    false
}

/// The password of a line `host:port:database:user:password`, where it is that of what is wanted.
fn password_of(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let letter = match c {
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            '\\' => chars.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(field) = fields.last_mut() {
            field.push(letter);
        }
    }
    let password = fields.get(4)?.clone();
    fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_password_file() {
        let wanted = ["db", "5432", "flows", "me"];
        for (line, password) in [
            ("db:5432:flows:me:pw", Some("pw")),
            ("*:*:*:me:p\\:w\\\\", Some("p:w\\")),
            ("*:*:*:*:a:b", Some("a:b")),
            ("db:5433:flows:me:pw", None),
            ("#db:5432:flows:me:pw", None),
            ("db:5432:flows:me", None),
        ] {
            assert_eq!(password_of(line, wanted).as_deref(), password, "{line}");
        }
    }

    #[test]
    fn an_address_that_is_not_understood_does_not_show_its_password() {
        for url in ["postgresql://me:secret@db/flows?nonsense=1", "postgresql://me:secret@db/flows?sslmode=allow"] {
            let Err(error) = server(url) else { panic!("{url}") };
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
