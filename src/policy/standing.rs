//! What a rule may know of consent: how one legal entity stands with one recipient.
//!
//! Fetched before the decision, from a ledger that this room does not know. Times are microseconds
//! since the Unix epoch; the ledger keeps them in whole seconds.

/// What the ledger says when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// How they stand.
    Known(Standing),
    /// The ledger cannot tell now: `ledger.unavailable`, never "nobody consented".
    Unavailable,
}

/// How a legal entity stands with a recipient, for one scope, at the moment of the question.
///
/// Expiry is not a state: compare [`Standing::until_us`] with the time, or ask
/// [`Standing::is_expired`]. Silence is one already: the ledger knows how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What was said last that counts.
    pub state: StandingState,
    /// How far the proof of the grant has been reviewed; `Submitted` where there is no grant.
    pub review: Review,
    /// For what kind of messages consent was given.
    pub class: ConsentClass,
    /// Since when the state holds: of the grant, the revocation or the request. 0 = never anything.
    pub from_us: u64,
    /// The first moment at which a grant no longer holds; [`Standing::NO_END`] = it has no end.
    pub until_us: u64,
    /// How often was promised at most, if a number was promised.
    pub promised: Option<Promise>,
    /// Messages already sent under the promise in its running period.
    pub sent: u32,
    /// The digest of the consent request that waits or was met with silence; 0 in other states.
    pub asked: u32,
    /// The event that decides, by its number in the ledger, for the record; 0 = none.
    pub event: u64,
}

impl Standing {
    /// `until_us` of a grant without an end.
    pub const NO_END: u64 = u64::MAX;

    /// Nothing was ever said or asked.
    pub const NONE: Self = Self {
        state: StandingState::None,
        review: Review::Submitted,
        class: ConsentClass::Commercial,
        from_us: 0,
        until_us: Self::NO_END,
        promised: None,
        sent: 0,
        asked: 0,
        event: 0,
    };

    /// Whether a grant has run out at `now_us`.
    pub fn is_expired(&self, now_us: u64) -> bool {
        self.state == StandingState::Granted && now_us >= self.until_us
    }

    /// Whether one more message in the running period would be more than was promised.
    pub fn is_used_up(&self) -> bool {
        self.promised.is_some_and(|promise| self.sent >= u32::from(promise.messages))
    }
}

/// What was said last that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StandingState {
    /// Nothing; or only a grant whose proof was rejected, or that begins later.
    None,
    /// The recipient was asked and may still answer. No consent: to advertise is `consent.missing`,
    /// to ask again is `consent.repeat`.
    Asked,
    /// Consent was given, with a proof.
    Granted,
    /// The recipient refused. Binds the entity: all its codes, all scopes.
    Revoked,
    /// The recipient was asked and did not answer in time: a refusal (Order 31 art. 18).
    Silent,
}

impl StandingState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::None, Self::Asked, Self::Granted, Self::Revoked, Self::Silent];

    /// Its name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Asked => "asked",
            Self::Granted => "granted",
            Self::Revoked => "revoked",
            Self::Silent => "silent",
        }
    }
}

/// How far a proof has been reviewed by the party that transmits (Order 74, article number not
/// verified: the sender hands proof over for review).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Review {
    /// Handed in.
    #[default]
    Submitted,
    /// Looked at and found good.
    Reviewed,
    /// Looked at and found wanting: the grant has ended.
    Rejected,
}

impl Review {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Submitted, Self::Reviewed, Self::Rejected];

    /// Its name in files and listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Reviewed => "reviewed",
            Self::Rejected => "rejected",
        }
    }

    /// The review state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// Whether a proof must have been reviewed before it counts: `[consent] review`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReviewPolicy {
    /// It must.
    #[default]
    Strict,
    /// One that was handed in counts until it is rejected.
    Lenient,
}

impl ReviewPolicy {
    /// Whether a proof reviewed so far counts.
    pub fn suffices(self, review: Review) -> bool {
        match review {
            Review::Reviewed => true,
            Review::Submitted => self == Self::Lenient,
            Review::Rejected => false,
        }
    }
}

/// For what kind of messages consent was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConsentClass {
    /// Commercial messages.
    #[default]
    Commercial,
    /// Business management and service only: no consent to advertising.
    Service,
}

impl ConsentClass {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Commercial, Self::Service];

    /// Its name in files and listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Commercial => "commercial",
            Self::Service => "service",
        }
    }

    /// The class of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// How often was promised at most when consent was asked for (Order 31 art. 18: type, frequency,
/// period).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Promise {
    /// Messages in one period: 1 to 65,535.
    pub messages: u16,
    /// The period.
    pub period: Period,
}

/// A calendar period in China Standard Time (UTC+8 all the year).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday's midnight.
    Week,
    /// From the midnight of the first.
    Month,
    /// From the midnight of January the first.
    Year,
}

impl Period {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    /// Its name in files and listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The period of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The period's number, counted from the epoch, in which a moment lies: two moments with one
    /// number are in one period. `time_us`: microseconds since the Unix epoch.
    pub fn number(self, time_us: u64) -> u32 {
        const CST_US: u64 = 8 * 3_600 * 1_000_000;
        const DAY_US: u64 = 24 * 3_600 * 1_000_000;
        let days = time_us.saturating_add(CST_US) / DAY_US;
        let number = match self {
            Self::Day => days,
            // 1970-01-01 was a Thursday: three days after a Monday.
            Self::Week => (days + 3) / 7,
            Self::Month => months(days),
            Self::Year => months(days) / 12,
        };
        u32::try_from(number).unwrap_or(u32::MAX)
    }
}

/// Whole months from January 1970 to a day counted from 1970-01-01 (Gregorian calendar; the years
/// begin in March, so that the leap day is the last).
fn months(days: u64) -> u64 {
    // From 0000-03-01, in eras of 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let months_from_march_0 = (era * 400 + year_of_era) * 12 + month_from_march;
    // March 0000 to January 1970.
    months_from_march_0.saturating_sub(1_970 * 12 - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(time: &str) -> u64 {
        time.parse::<jiff::Timestamp>().unwrap().as_microsecond() as u64
    }

    #[test]
    fn periods_end_at_midnight_in_china() {
        for (period, last, first) in [
            (Period::Day, "2026-11-24T15:59:59.999999Z", "2026-11-24T16:00:00Z"),
            (Period::Week, "2026-11-29T15:59:59.999999Z", "2026-11-29T16:00:00Z"),
            (Period::Month, "2026-11-30T15:59:59.999999Z", "2026-11-30T16:00:00Z"),
            (Period::Month, "2024-02-29T15:59:59.999999Z", "2024-02-29T16:00:00Z"),
            (Period::Year, "2026-12-31T15:59:59.999999Z", "2026-12-31T16:00:00Z"),
        ] {
            let (before, after) = (period.number(us(last)), period.number(us(first)));
            assert_eq!(before + 1, after, "{period:?} {last}");
            assert_eq!(period.number(us(first) + 3_600_000_000), after);
        }
        assert_eq!(Period::Month.number(0), 0);
        assert_eq!(Period::Month.number(us("2026-11-24T00:00:00Z")), 56 * 12 + 10);
        assert_eq!(Period::Day.number(u64::MAX), 213_503_982);
    }

    proptest::proptest! {
        #[test]
        fn periods_are_those_of_the_calendar(second in 0_i64..4_000_000_000) {
            let time = jiff::Timestamp::from_second(second).unwrap();
            let day = jiff::tz::Offset::constant(8).to_datetime(time).date();
            let months = (i64::from(day.year()) - 1970) * 12 + i64::from(day.month()) - 1;
            let number = |period: Period| i64::from(period.number(second as u64 * 1_000_000));
            proptest::prop_assert_eq!(number(Period::Month), months);
            proptest::prop_assert_eq!(number(Period::Year), i64::from(day.year()) - 1970);
        }
    }

    #[test]
    fn only_a_reviewed_proof_suffices_unless_policy_is_lenient() {
        for (policy, expected) in [
            (ReviewPolicy::Strict, [false, true, false]),
            (ReviewPolicy::Lenient, [true, true, false]),
        ] {
            assert_eq!(Review::ALL.map(|review| policy.suffices(review)), expected);
        }
    }

    #[test]
    fn a_grant_ends_at_its_end_and_a_promise_at_its_number() {
        let promised = Some(Promise { messages: 2, period: Period::Month });
        let granted = Standing { state: StandingState::Granted, until_us: 10, ..Standing::NONE };
        for (now_us, expired) in [(9, false), (10, true)] {
            assert_eq!(granted.is_expired(now_us), expired);
            assert!(!Standing { state: StandingState::Revoked, ..granted }.is_expired(now_us));
        }
        for (sent, used_up) in [(1, false), (2, true)] {
            assert_eq!(Standing { promised, sent, ..granted }.is_used_up(), used_up);
            assert!(!Standing { sent, ..granted }.is_used_up());
        }
    }
}
