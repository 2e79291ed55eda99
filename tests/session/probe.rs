//! An enquire_link of our own on an idle SMSC leg.

use consentry::session::OWN_NUMBERS;

use super::*;

const IDLE: u64 = 30;

fn enquiring() -> Session {
    let mut session = open().enquiring_after(IDLE * SECOND);
    give(&mut session, &REFUSING, &bind(Command::BindTransceiver), 0);
    relay(&mut session, &bare(Command::BindTransceiver.response_id(), OK, 1), 0);
    session
}

/// The number of the enquire_link that is sent at that second, if one is.
fn enquired(session: &mut Session, s: u64) -> Option<u32> {
    if !session.enquires(at(s)) {
        return None;
    }
    let sent: Vec<u8> = session.cleared().flat_map(|one| one.octets().to_vec()).collect();
    session.release();
    let header = Header::of(&sent).expect("a header");
    assert_eq!((header.command, header.command_status, sent.len()), (Command::EnquireLink, OK, 16));
    assert!(OWN_NUMBERS.contains(&header.sequence_number));
    Some(header.sequence_number)
}

fn link_resp(number: u32) -> Vec<u8> {
    bare(Command::EnquireLinkResp.id(), OK, number)
}

#[test]
fn it_is_sent_when_nothing_was_said_either_way_and_never_sooner() {
    let mut session = enquiring();
    assert_eq!(enquired(&mut session, IDLE - 1), None);
    // The ESME says something that goes on; a refusal does not.
    give(&mut session, &REFUSING, &submit(2, OURS), 20);
    give(&mut session, &REFUSING, &submit(3, b""), 45);
    assert_eq!(session.next_deadline_us(), 50 * SECOND);
    assert_eq!(enquired(&mut session, 49), None);
    // The SMSC says something.
    relay(&mut session, &bare(Command::SubmitSm.response_id(), OK, 2), 49);
    assert_eq!(enquired(&mut session, 78), None);
    let number = enquired(&mut session, 79).expect("due");
    assert_eq!(enquired(&mut session, 200), None, "one at a time");
    assert_eq!(
        relay(&mut session, &link_resp(number), 80),
        b"",
        "its answer is kept from the ESME"
    );
    assert_eq!(
        relay(&mut session, &link_resp(number), 80),
        link_resp(number),
        "a second one is not ours"
    );
    assert_eq!(enquired(&mut session, 109), None);
    assert_ne!(enquired(&mut session, 110).expect("due again"), number);
}

#[test]
fn it_waits_for_the_bind_and_ends_with_the_session() {
    let mut open = open().enquiring_after(IDLE * SECOND);
    assert_eq!(enquired(&mut open, 29), None);
    give(&mut open, &REFUSING, &bind(Command::BindTransceiver), 1);
    assert_eq!(enquired(&mut open, 500), None, "the bind is not answered");
    let mut session = enquiring();
    give(&mut session, &REFUSING, &bare(Command::Unbind.id(), OK, 9), 1);
    assert_eq!(enquired(&mut session, 500), None, "the ESME takes its leave");
    let mut session = enquiring();
    session.drain();
    assert_eq!(enquired(&mut session, 500), None, "the proxy does");
    let mut none = bound(&REFUSING, Command::BindTransceiver);
    assert_eq!(enquired(&mut none, 5_000), None, "nobody asked for it");
}

#[test]
fn an_smsc_that_does_not_answer_it_is_silent_and_one_that_nacks_it_lives() {
    for (answer, expected) in [
        (None, Some(EndReason::SmscSilent)),
        (Some(Command::EnquireLinkResp), None),
        (Some(Command::GenericNack), None),
    ] {
        let mut session = enquiring();
        let number = enquired(&mut session, 30).expect("due");
        assert_eq!(session.owed_since_us(), Some(30 * SECOND));
        assert_eq!(session.next_deadline_us(), 90 * SECOND);
        if let Some(answer) = answer {
            assert_eq!(relay(&mut session, &bare(answer.id(), OK, number), 31), b"");
            assert_eq!((session.owed_since_us(), session.answered_us()), (None, 0), "no progress");
        }
        session.tick(at(89));
        assert_eq!(session.ending(), None);
        session.tick(at(90));
        assert_eq!(session.ending(), expected, "{answer:?}");
    }
}

#[test]
fn its_answer_is_not_overdue_while_the_smsc_is_not_heard_because_of_us() {
    let mut session = enquiring();
    enquired(&mut session, 30).expect("due");
    session.hold_smsc(true, at(40));
    session.tick(at(500));
    assert_eq!((session.ending(), session.owed_since_us()), (None, None));
    session.hold_smsc(false, at(510));
    session.tick(at(569));
    assert_eq!((session.ending(), session.next_deadline_us()), (None, 570 * SECOND));
    session.tick(at(570));
    assert_eq!(session.ending(), Some(EndReason::SmscSilent));
}

#[test]
fn an_esme_that_counts_into_our_numbers_gets_its_own_answers() {
    let last = *OWN_NUMBERS.end();
    // A submit_sm that is open with the number that would be next: another is taken.
    let mut session = enquiring();
    give(&mut session, &REFUSING, &submit(last, OURS), 1);
    assert_eq!(enquired(&mut session, 31), Some(last - 1));
    // A generic_nack with the number of a request of the ESME is the ESME's.
    let nack = bare(Command::GenericNack.id(), CommandStatus::ESME_RINVCMDID, last);
    assert_eq!(relay(&mut session, &nack, 32), nack);
    // An enquire_link of its own.
    let mut session = enquiring();
    give(&mut session, &REFUSING, &bare(Command::EnquireLink.id(), OK, last), 1);
    assert_eq!(enquired(&mut session, 31), Some(last - 1));
    // Ours is open when it takes the same number: of two answers it gets one.
    give(&mut session, &REFUSING, &bare(Command::EnquireLink.id(), OK, last - 1), 32);
    let both = [link_resp(last - 1), link_resp(last - 1)].concat();
    assert_eq!(relay(&mut session, &both, 33), link_resp(last - 1));
}

#[derive(Debug, Clone)]
enum Happens {
    Link(u32),
    Submit(u32),
    /// The SMSC answers one of what it has not answered.
    Answer(usize),
    /// Nothing happens for so long that one of ours is due.
    Idle,
}

fn happens() -> impl Strategy<Value = Happens> {
    let number =
        || prop_oneof![1_u32..4, 0x7fff_fffa_u32..=0x7fff_ffff, 0x7fff_0000_u32..0x7fff_0002];
    prop_oneof![
        number().prop_map(Happens::Link),
        number().prop_map(Happens::Submit),
        any::<usize>().prop_map(Happens::Answer),
        Just(Happens::Idle),
    ]
}

proptest! {
    /// Whatever numbers the ESME uses and in whatever order the SMSC answers, each request of the ESME gets
    /// one answer, and ours get none through.
    #[test]
    fn each_request_of_the_esme_has_one_answer(story in prop::collection::vec(happens(), 1..60)) {
        let mut session = enquiring();
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        let mut open: Vec<(Command, u32)> = Vec::new();
        let mut now = 0;
        let mut answer = |session: &mut Session, (command, number): (Command, u32), now| {
            let resp = bare(command.response_id(), OK, number);
            let crossed = relay(session, &resp, now);
            if !crossed.is_empty() {
                assert_eq!(crossed, resp);
                answered.push((command.id(), number));
            }
        };
        for one in story {
            match one {
                Happens::Link(number) => {
                    give(&mut session, &REFUSING, &bare(Command::EnquireLink.id(), OK, number), now);
                    asked.push((Command::EnquireLink.id(), number));
                    open.push((Command::EnquireLink, number));
                }
                Happens::Submit(number) => {
                    give(&mut session, &REFUSING, &submit(number, OURS), now);
                    asked.push((Command::SubmitSm.id(), number));
                    open.push((Command::SubmitSm, number));
                }
                Happens::Answer(which) if !open.is_empty() => {
                    let one = open.remove(which % open.len());
                    answer(&mut session, one, now);
                }
                Happens::Answer(_) => {}
                Happens::Idle => {
                    now += IDLE;
                    if let Some(number) = enquired(&mut session, now) {
                        let taken = open.iter().any(|(command, n)| *command == Command::SubmitSm && *n == number);
                        prop_assert!(!taken, "{number:x} is open");
                        open.push((Command::EnquireLink, number));
                    }
                }
            }
        }
        for one in open {
            answer(&mut session, one, now);
        }
        asked.sort();
        answered.sort();
        prop_assert_eq!(asked, answered);
    }
}
