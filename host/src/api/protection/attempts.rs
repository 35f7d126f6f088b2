//! Failed authentications of addresses, bounded in a minute.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Most failed authentications of an address within `WINDOW`.
const MAX_FAILURES: usize = 10;

const WINDOW: Duration = Duration::from_secs(60);

/// Most addresses. Above, the address whose last failure is oldest goes.
const MAX_ADDRESSES: usize = 4096;

/// Times of failed authentications, by address.
#[derive(Default)]
pub(super) struct FailedAttempts(Mutex<HashMap<IpAddr, VecDeque<Instant>>>);

impl FailedAttempts {
    /// The time until the address may try again; `None` if it may now.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut addresses = self.0.lock();
        let failures = addresses.get_mut(&network(address))?;
        failures.retain(|at| now.duration_since(*at) < WINDOW);
        if failures.len() < MAX_FAILURES {
            return None;
        }
        let oldest = failures.front()?;
        Some(WINDOW.saturating_sub(now.duration_since(*oldest)))
    }

    /// Counts a failure.
    pub(super) fn count(&self, address: IpAddr, now: Instant) {
        let mut addresses = self.0.lock();
        let address = network(address);
        if addresses.len() >= MAX_ADDRESSES && !addresses.contains_key(&address) {
            let oldest = addresses
                .iter()
                .min_by_key(|(_, failures)| failures.back().copied());
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                addresses.remove(&oldest);
            }
        }
        let failures = addresses.entry(address).or_default();
        failures.push_back(now);
        if failures.len() > MAX_FAILURES {
            failures.pop_front();
        }
    }
}

/// The address, or the network of 64 bits of an IPv6 address: a single machine has all addresses of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_in_a_minute_are_the_bound() {
        let attempts = FailedAttempts::default();
        let now = Instant::now();
        let wait = |text: &str, now| attempts.wait(text.parse().expect("an address"), now);
        let count = |text: &str| attempts.count(text.parse().expect("an address"), now);
        for _ in 0..MAX_FAILURES {
            assert_eq!(wait("10.0.0.1", now), None);
            count("10.0.0.1");
        }
        assert_eq!(wait("10.0.0.1", now), Some(WINDOW));
        assert_eq!(wait("::ffff:10.0.0.1", now), Some(WINDOW));
        assert_eq!(wait("10.0.0.2", now), None);
        assert_eq!(wait("10.0.0.1", now + WINDOW), None);
        for _ in 0..MAX_FAILURES {
            count("2001:db8::1");
        }
        assert_eq!(wait("2001:db8::2", now), Some(WINDOW));
        for number in 0..2 * u32::try_from(MAX_ADDRESSES).expect("a number") {
            attempts.count(IpAddr::V4(number.into()), now);
        }
        assert!(attempts.0.lock().len() <= MAX_ADDRESSES);
    }
}
