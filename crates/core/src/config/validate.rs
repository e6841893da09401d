//! Ranges: what can be judged without knowing the features. A plan ([`crate::rows::RowPlan`]) judges the names.

use super::Config;
use crate::error::ConfigError;
use crate::trackers::MAX_SEQUENCE_LEN;

impl Config {
    /// Checks every value against its range. The first that is out of it is returned, with what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        seconds("flow_timeout", self.flow_timeout)?;
        if let Some(s) = self.active_timeout {
            seconds("active_timeout", s)?;
        }
        whole("max_concurrent_flows", self.max_concurrent_flows, 1, MAX_FLOWS)?;
        if let Some(rate) = self.sampling_rate {
            ensure(rate > 0.0 && rate <= 1.0, "sampling_rate", rate, || "must be over 0 and at most 1".into())?;
        }
        if let Some(s) = self.close_timeout {
            seconds("close_timeout", s)?;
        }
        if let Some(size) = self.max_memory {
            whole("max_memory", size.0, LEAST_MEMORY, u64::MAX)?;
        }
        whole("max_sequence_length", u64::from(self.max_sequence_length), 1, MAX_SEQUENCE_LEN as u64)?;
        let burst = self.burst_threshold_ms;
        ensure((0.0..=MAX_SECONDS * 1e3).contains(&burst), "burst_threshold_ms", burst, || {
            format!("must be a number of milliseconds from 0 to {:e}", MAX_SECONDS * 1e3)
        })?;
        whole("entropy_sample_bytes", u64::from(self.entropy_sample_bytes), 1, 65_535)?;
        if let Some(s) = self.connection_window {
            seconds("connection_window", s)?;
        }
        if let Some(n) = self.num_workers {
            whole("num_workers", u64::from(n), 1, 1024)?;
        }
        let salted = self.anonymization_salt.as_deref().is_some_and(|s| !s.is_empty());
        let replaced = if self.anonymize { "anonymize" } else { "anonymize_ips" };
        ensure(salted || !(self.anonymize || self.anonymize_ips), replaced, true, || {
            "needs a secret anonymization_salt that is not empty (on the command line: --salt, or JJ_ANON_SALT in the \
             environment), because pseudonyms without a key can be undone by trying every address"
                .into()
        })?;
        Ok(())
    }

    /// What is taken, but does not do what one might expect of it.
    pub fn notes(&self) -> Vec<String> {
        let ineffective = self.changed().into_iter().filter(|(key, _)| WITHOUT_EFFECT.contains(key));
        ineffective.map(|(key, value)| format!("{key} = {value} has no effect in this version")).collect()
    }
}

/// Keys that old files have, and that do nothing.
const WITHOUT_EFFECT: &[&str] = &["connection_include_temporal"];

/// Less than this holds no useful number of flows beside the buffers of one partition.
const LEAST_MEMORY: u64 = 16 << 20;

/// Times are 64-bit nanoseconds inside, which reach 292 years.
const MAX_SECONDS: f64 = 9e9;

/// Flows are numbered with 32 bits.
const MAX_FLOWS: u64 = u32::MAX as u64;

fn seconds(option: &'static str, value: f64) -> Result<(), ConfigError> {
    ensure(value > 0.0 && value <= MAX_SECONDS, option, value, || {
        format!("must be a number of seconds over 0 and at most {MAX_SECONDS:e}")
    })
}

fn whole(option: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    ensure((min..=max).contains(&value), option, value, || format!("must be from {min} to {max}"))
}

fn ensure(
    sound: bool,
    option: &'static str,
    value: impl ToString,
    expected: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    if sound { Ok(()) } else { Err(ConfigError::Value { option, value: value.to_string(), expected: expected() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut c = Config::default();
        change(&mut c);
        c.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_and_the_limits_are_sound() {
        assert_eq!(Config::default().validate(), Ok(()));
        let c = Config {
            flow_timeout: 1e9,
            active_timeout: Some(1e9),
            sampling_rate: Some(1.0),
            max_concurrent_flows: 1,
            max_sequence_length: 65_535,
            burst_threshold_ms: 0.0,
            anonymize_ips: true,
            anonymization_salt: Some("s".into()),
            ..Config::default()
        };
        assert_eq!(c.validate(), Ok(()));
    }

    #[test]
    fn values_out_of_range_name_the_option_and_the_range() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(refused(|c| c.flow_timeout = bad).starts_with("flow_timeout = "));
            assert!(refused(|c| c.active_timeout = Some(bad)).starts_with("active_timeout = "));
            assert!(refused(|c| c.connection_window = Some(bad)).starts_with("connection_window = "));
        }
        for bad in [0.0, 1.5, f64::NAN] {
            assert!(refused(|c| c.sampling_rate = Some(bad)).contains("over 0 and at most 1"));
        }
        assert_eq!(refused(|c| c.max_sequence_length = 0), "max_sequence_length = 0: must be from 1 to 65535");
        assert!(refused(|c| c.max_concurrent_flows = 0).contains("must be from 1"));
        assert!(refused(|c| c.burst_threshold_ms = f64::NAN).starts_with("burst_threshold_ms"));
        assert!(refused(|c| c.entropy_sample_bytes = 0).starts_with("entropy_sample_bytes"));
        assert!(refused(|c| c.num_workers = Some(0)).starts_with("num_workers"));
    }

    #[test]
    fn keys_that_do_nothing_are_noted() {
        assert_eq!(Config::default().notes(), [""; 0]);
        let c = Config { connection_include_temporal: false, ..Config::default() };
        assert_eq!((c.validate(), c.notes().len()), (Ok(()), 1));
    }

    #[test]
    fn a_limit_of_memory_has_a_least() {
        let small = refused(|c| c.max_memory = Some(crate::config::ByteSize(1)));
        assert_eq!(small, "max_memory = 1: must be from 16777216 to 18446744073709551615");
    }

    #[test]
    fn pseudonyms_need_a_key() {
        assert!(refused(|c| c.anonymize_ips = true).contains("--salt"));
        assert!(
            refused(|c| {
                c.anonymize_ips = true;
                c.anonymization_salt = Some(String::new());
            })
            .contains("not empty")
        );
    }
}
