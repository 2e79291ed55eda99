//! No way round: a message that is refused is refused in every form that SMPP lets it take, and a message
//! that may pass passes in every form that programs in the field give it.
//!
//! Each composition follows from one number. It is printed, and `DISGUISE_SEED=N` begins with that of an
//! earlier run. `DISGUISES=N` tries another count than usual.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use chance::Chance;
use consentry::policy::Rule;
use consentry::session::{LongMessages, MultiPolicy};
use disguise::{Meant, Sent, disguise};
use replacement::Earlier;
use stage::{Configured, Outcome, Stage, reaches};

mod apart;
mod chance;
mod disguise;
mod form;
mod replacement;
mod stage;

/// Compositions that a test tries.
const DISGUISES: u64 = 4_000;
/// How long it tries at most, on however slow a machine.
const TIME_MAX: Duration = Duration::from_secs(40);
/// How long a refusal of parts holds, seconds.
const REMEMBERED_S: u64 = 300;

/// People by how they stand with the provider.
const STRANGER: &str = "13800138000";
const GRANTED: &str = "13800138001";
const REVOKED: &str = "13800138002";
const EXPIRED: &str = "13800138003";
const USED_UP: &str = "13800138004";
const FRIEND: &str = "13800138005";

/// Codes of the provider by what they are for.
const COMMERCIAL: &str = "106900005678";
const TEMPLATES: &str = "106900001111";
const SERVICE: &str = "106900002222";
const MIXED: &str = "106900008888";
const PUBLIC: &str = "106990001234";
/// Another provider's.
const FOREIGN: &str = "95588";

const OTP: &str = "【示例商城】您的验证码是271828，五分钟内有效。";
const AD: &str = "【示例商城】双十一全场五折，满三百减五十，会员专享优惠券限时领取，点击 shop.example.com 立即抢购，回T退订";
const NO_NOTICE: &str = "【示例商城】双十一全场五折，满三百减五十，会员专享优惠券限时领取，点击 shop.example.com 立即抢购";
const UNSIGNED: &str =
    "双十一全场五折，满三百减五十，会员专享优惠券限时领取，点击 shop.example.com 立即抢购，回T退订";
const OTHERS: &str = "【别家商城】双十一全场五折，满三百减五十，会员专享优惠券限时领取，回T退订";
const LISTED: &str = "【示例商城】本店代开发票，满三百减五十，会员专享优惠券限时领取，回T退订";
const ENGLISH: &str = "Mega sale this weekend only: 50% off everything, free gift for members, buy now at \
                       shop.example.com and save big. Reply T to opt out";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Holds {
    /// Nothing of it crosses.
    Nothing,
    /// What crosses is never all of it: what a text says is known with its last part.
    NotWhole,
}

/// A message that is refused: by which rule, and how much of it may cross in parts.
type Row = (Rule, &'static str, &'static str, &'static str, Holds);

#[rustfmt::skip] // A table.
const REFUSED: [Row; 20] = [
    (Rule::SourceForged, FOREIGN, STRANGER, OTP, Holds::Nothing),
    (Rule::SourceForged, "9558800", GRANTED, AD, Holds::Nothing),
    (Rule::SourceMissing, "", STRANGER, OTP, Holds::Nothing),
    (Rule::CodeLength, "10690000567812345", GRANTED, AD, Holds::Nothing),
    (Rule::DestinationMalformed, SERVICE, "12321", OTP, Holds::Nothing),
    (Rule::ConsentMissing, COMMERCIAL, STRANGER, AD, Holds::Nothing),
    (Rule::ConsentMissing, COMMERCIAL, STRANGER, ENGLISH, Holds::Nothing),
    (Rule::ConsentRevoked, COMMERCIAL, REVOKED, AD, Holds::Nothing),
    (Rule::ConsentExpired, COMMERCIAL, EXPIRED, AD, Holds::Nothing),
    (Rule::ConsentRepeat, COMMERCIAL, USED_UP, AD, Holds::Nothing),
    (Rule::NoticeMissing, COMMERCIAL, GRANTED, NO_NOTICE, Holds::NotWhole),
    (Rule::SignatureMissing, COMMERCIAL, GRANTED, UNSIGNED, Holds::NotWhole),
    (Rule::SignatureUnregistered, COMMERCIAL, GRANTED, OTHERS, Holds::NotWhole),
    (Rule::ContentProhibited, COMMERCIAL, GRANTED, LISTED, Holds::NotWhole),
    (Rule::ConsentMissing, MIXED, STRANGER, AD, Holds::NotWhole),
    (Rule::ConsentMissing, MIXED, STRANGER, ENGLISH, Holds::NotWhole),
    (Rule::ConsentRevoked, MIXED, REVOKED, AD, Holds::NotWhole),
    (Rule::CodePurpose, TEMPLATES, STRANGER, AD, Holds::NotWhole),
    (Rule::CodePurpose, SERVICE, STRANGER, ENGLISH, Holds::NotWhole),
    (Rule::CodePurpose, PUBLIC, STRANGER, AD, Holds::NotWhole),
];

/// Messages that may pass: what the ESMEs of `tests/interop` send, and what shops do.
const HONEST: [(&str, &str, &str); 8] = [
    (SERVICE, STRANGER, "@ Consentry interop £5 {ok} €"),
    (SERVICE, STRANGER, "【互通测试】验证码123456，五分钟内有效。"),
    (SERVICE, STRANGER, LONG_GSM),
    (SERVICE, STRANGER, LONG_UCS2),
    (TEMPLATES, STRANGER, "您的验证码是271828，五分钟内有效。"),
    (COMMERCIAL, GRANTED, AD),
    (MIXED, GRANTED, AD),
    (MIXED, STRANGER, OTP),
];

const LONG_GSM: &str = "part of a long text 00 part of a long text 01 part of a long text 02 part of a long text \
    03 part of a long text 04 part of a long text 05 part of a long text 06 part of a long text 07 part of a long \
    text 08 part of a long text 09 part of a long text 10 part of a long text 11 part of a long text 12";
const LONG_UCS2: &str = "第00句：这是一条长短信，分段发送。第01句：这是一条长短信，分段发送。第02句：这是一条长短信，分段发送。\
    第03句：这是一条长短信，分段发送。第04句：这是一条长短信，分段发送。第05句：这是一条长短信，分段发送。\
    第06句：这是一条长短信，分段发送。第07句：这是一条长短信，分段发送。";

/// Each seed of a run in its turn, until count or time is up.
fn each_seed(check: impl Fn(u64, &mut Stage)) {
    let given = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let first: u64 = given("DISGUISE_SEED").unwrap_or(since_epoch.as_nanos() as u64 >> 10);
    let count = given("DISGUISES").unwrap_or(DISGUISES);
    let (mut stage, began) = (Stage::new(), Instant::now());
    let mut tried = 0;
    for seed in first..first.saturating_add(count) {
        if began.elapsed() > TIME_MAX {
            break;
        }
        check(seed, &mut stage);
        tried += 1;
    }
    eprintln!("{tried} compositions from DISGUISE_SEED={first}");
    assert!(tried > 0);
}

/// Whatever an operator may have decided of parts, of several recipients, and of nodes.
fn any_configured(chance: &mut Chance) -> Configured {
    let never = stage::DEADLINE_S;
    let modes = [LongMessages::Progressive, stage::hold(2), stage::hold(never)];
    let submit_multi = chance.one_of(&[MultiPolicy::Whole, MultiPolicy::Narrow]);
    let nodes = chance.one_of(&[1, 3]);
    Configured { long_messages: chance.one_of(&modes), submit_multi, nodes }
}

#[test]
fn each_message_is_refused_by_its_rule_undisguised() {
    let mut stage = Stage::new();
    for (rule, source, destination, text, _) in REFUSED {
        let mut chance = Chance(1);
        let meant = Meant { source, destination, text };
        // The first honest disguise in one piece, to one person.
        let plain = std::iter::repeat_with(|| disguise(&mut chance, meant, true))
            .find(|one| one.total == 1 && !one.sent[0].is_multi())
            .expect("some are");
        stage.begin(plain.route, any_configured(&mut chance));
        let outcomes = stage.give(0, &plain.sent[0].octets);
        let found: Vec<_> = outcomes.iter().map(|one| (one.refused, one.cleared.len())).collect();
        assert_eq!(found, [(Some(rule), 0)], "{meant:?}");
    }
}

#[test]
fn what_is_refused_is_refused_in_every_disguise() {
    each_seed(|seed, stage| {
        let mut chance = Chance(seed);
        let (rule, source, destination, text, holds) = chance.one_of(&REFUSED);
        let configured = any_configured(&mut chance);
        let disguised = disguise(&mut chance, Meant { source, destination, text }, false);
        // Where parts wait until all have come, whatever a sender does, none goes on without the others.
        let all_wait = configured.nodes > 1
            || configured.long_messages == stage::hold(stage::DEADLINE_S)
                && !disguised.sent.iter().any(Sent::is_multi);
        stage.begin(disguised.route, configured);
        let (mut arrived, mut refused_s) = (BTreeSet::new(), None);
        let last = Sent { wait_s: REMEMBERED_S, octets: Vec::new(), ..disguised.sent[0].clone() };
        for (sequence, one) in (2..).zip(disguised.sent.iter().chain([&last])) {
            let (waited, given) = (stage.wait(one.wait_s), stage.give(one.bind, &one.octets));
            let was_refused = |it: &Outcome| it.sequence == sequence && it.refused.is_some();
            // A first part that goes on or waits was forgotten since it came last: a new message begins.
            let is_new =
                one.number == 1 && !one.octets.is_empty() && !given.iter().any(was_refused);
            for (begins, outcomes) in [(false, waited), (is_new, given)] {
                if begins {
                    refused_s = None;
                }
                for outcome in outcomes {
                    let Sent { number, alone, .. } = &disguised.sent[outcome.sequence as usize - 2];
                    // Of a submit_multi it may be the other one for whose sake it is refused to all.
                    let is_refused = match outcome.refused {
                        Some(rule) => rule != Rule::CommandRefused && alone.is_none(),
                        None => true,
                    };
                    let at = || {
                        let (form, total) = (disguised.form, disguised.total);
                        let rule = rule.name();
                        format!(
                            "DISGUISE_SEED={seed}: {rule} {form:?}, part {number} of {total}, {configured:?}"
                        )
                    };
                    if reaches(&outcome.cleared, destination) {
                        let may_cross = holds == Holds::NotWhole && !all_wait;
                        assert!(may_cross, "{}: something of it crosses", at());
                        let is_remembered =
                            refused_s.is_some_and(|then| outcome.at_s < then + REMEMBERED_S);
                        assert!(!is_remembered, "{}: crosses behind a refusal", at());
                        arrived.insert(*number);
                    } else if is_refused {
                        refused_s.get_or_insert(outcome.at_s);
                    }
                    assert!(arrived.len() < disguised.total, "{}: all of it crossed", at());
                }
            }
        }
    });
}

/// What a sender may send first, so that another text can take its place.
fn harmless(source: &str) -> &'static str {
    if source == TEMPLATES { "您的验证码是271828，五分钟内有效。" } else { "271828" }
}

#[test]
fn what_is_refused_takes_no_other_messages_place() {
    let seen = Cell::new(0);
    each_seed(|seed, stage| {
        let mut chance = Chance(seed);
        let (rule, source, destination, text, _) = chance.one_of(&REFUSED);
        let meant = Meant { source, destination, text };
        let first = if source == COMMERCIAL { AD } else { harmless(source) };
        let earlier = replacement::earlier(&mut chance, meant, first, false);
        stage.begin(earlier.route, any_configured(&mut chance));
        let ids = stage.ids_of(0, &earlier.first);
        if earlier.earlier == Earlier::Twin && ids.len() < 2 {
            // The friend's alone: it may be replaced.
            return;
        }
        let guessed = [String::from("id0"), String::new()];
        for id in ids.iter().chain(&guessed) {
            let pdu = earlier.pdu(&mut chance, meant, id, false);
            let outcomes = stage.give(chance.below(2), &pdu);
            let at = format!(
                "DISGUISE_SEED={seed}: {} {:?} {:?}",
                rule.name(),
                earlier.form,
                earlier.earlier
            );
            assert!(outcomes.iter().all(|one| one.cleared.is_empty()), "{at}: it takes its place");
            assert!(outcomes.len() == 1, "{at}: it was judged");
        }
        seen.set(seen.get() + ids.len());
    });
    assert!(seen.get() > 0, "some messages had an id");
}

#[test]
fn what_may_pass_takes_the_place_of_ones_own_message() {
    each_seed(|seed, stage| {
        let mut chance = Chance(seed);
        let (source, destination, text) = chance.one_of(&HONEST);
        let meant = Meant { source, destination, text };
        let first = if source == COMMERCIAL { AD } else { harmless(source) };
        let earlier = replacement::earlier(&mut chance, meant, first, true);
        let configured = any_configured(&mut chance);
        stage.begin(earlier.route, configured);
        let ids = stage.ids_of(0, &earlier.first);
        let at = format!("DISGUISE_SEED={seed}: {:?}, {text}", earlier.form);
        assert_eq!(ids.len(), 1, "{at}: the first one passes");
        let pdu = earlier.pdu(&mut chance, meant, &ids[0], true);
        let bind = chance.below(stage::BINDS);
        let outcomes = stage.give(bind, &pdu);
        let found: Vec<_> = outcomes.iter().map(|one| one.refused.map(Rule::name)).collect();
        if configured.nodes > 1 && bind > 0 {
            // What ids stand for, the node knows that the message went through.
            assert_eq!(found, [Some(Rule::EarlierUnknown.name())], "{at}");
            return;
        }
        assert_eq!(found, [None], "{at}");
        assert!(outcomes[0].cleared == pdu, "{at}: other octets went on than came");
    });
}

#[test]
fn what_may_pass_passes_in_every_form_of_the_field() {
    each_seed(|seed, stage| {
        let mut chance = Chance(seed);
        let (source, destination, text) = chance.one_of(&HONEST);
        let configured = any_configured(&mut chance);
        let disguised = disguise(&mut chance, Meant { source, destination, text }, true);
        let is_advertising = text == AD;
        let is_narrowed = |one: &Sent| is_advertising && one.alone.is_some();
        if configured.submit_multi == MultiPolicy::Whole && disguised.sent.iter().any(is_narrowed) {
            // One who has refused is among its recipients: it is refused to all.
            return;
        }
        let is_spread = configured.nodes > 1;
        if is_spread && disguised.total > 1 && disguised.sent.iter().any(Sent::is_multi) {
            // They cannot wait for each other: see docs/nodes.md.
            return;
        }
        // Who has several nodes to choose from sends a message through one of them.
        let bind_of = |one: &Sent| if is_spread { disguised.sent[0].bind } else { one.bind };
        stage.begin(disguised.route, configured);
        let mut passed = BTreeSet::new();
        let last = Sent { wait_s: 5, octets: Vec::new(), ..disguised.sent[0].clone() };
        for one in disguised.sent.iter().chain([&last]) {
            let mut outcomes = stage.wait(one.wait_s);
            outcomes.extend(stage.give(bind_of(one), &one.octets));
            for outcome in outcomes {
                let one = &disguised.sent[outcome.sequence as usize - 2];
                let (form, total, number) = (disguised.form, disguised.total, one.number);
                let at = format!(
                    "DISGUISE_SEED={seed}: {form:?}, part {number} of {total}, {text}, {configured:?}"
                );
                assert_eq!(outcome.refused.map(Rule::name), None, "{at}");
                let alone = one.alone.as_ref().filter(|_| is_advertising);
                let expected = alone.unwrap_or(&one.octets);
                assert!(outcome.cleared == *expected, "{at}: other octets went on than came");
                passed.insert(number);
            }
        }
        assert_eq!(passed.len(), disguised.total, "DISGUISE_SEED={seed}: {configured:?}");
    });
}
