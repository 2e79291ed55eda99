//! A bind that one SMSC does not take goes to another, and the ESME hears only of the one that answers.

use super::*;

const ERROR: CommandStatus = CommandStatus::ESME_RSYSERR;

/// A bind that is with the first SMSC; whether there is another.
fn binding_with(another: bool) -> Session {
    let mut session = open().keeping_its_bind();
    let (cleared, _) = give(&mut session, &REFUSING, &bind(Command::BindTransceiver), 0);
    assert_eq!(cleared, bind(Command::BindTransceiver));
    session.connected("a:1");
    session.may_bind_elsewhere(another);
    session
}

fn resp(status: CommandStatus) -> Vec<u8> {
    bare(Command::BindTransceiver.response_id(), status, 1)
}

#[test]
fn only_what_says_that_the_smsc_is_down_goes_elsewhere() {
    for (status, another, elsewhere) in [
        (ERROR, true, true),
        (ERROR, false, false),
        (CommandStatus::ESME_RINVPASWD, true, false),
        (CommandStatus::ESME_RINVSYSID, true, false),
        (CommandStatus::ESME_RBINDFAIL, true, false),
        (CommandStatus::ESME_RALYBND, true, false),
        (CommandStatus::ESME_RTHROTTLED, true, false),
        (OK, true, false),
    ] {
        let mut session = binding_with(another);
        let crossed = relay(&mut session, &resp(status), 1);
        assert_eq!(crossed.is_empty(), elsewhere, "{status}");
        assert_eq!(session.take_bind_answer(), Some(status));
        assert_eq!(session.take_bind_answer(), None, "told once");
        assert_eq!(session.can_bind_elsewhere(), elsewhere, "{status}");
    }
}

#[test]
fn the_same_octets_go_there_and_nothing_of_the_first_is_left() {
    let mut session = binding_with(true);
    let half = &bare(Command::Unbind.id(), OK, 5)[..9];
    let said = [resp(ERROR), bare(Command::Unbind.id(), OK, 4), half.to_vec()].concat();
    assert_eq!(
        relay(&mut session, &said, 1),
        b"",
        "what it says behind its error is of no account"
    );
    assert!(matches!(session.state(), BindState::Binding(_)));
    session.disconnected();
    assert_eq!(session.bind_again().octets(), bind(Command::BindTransceiver));
    session.connected("b:1");
    session.may_bind_elsewhere(true);
    assert_eq!(relay(&mut session, &resp(OK), 2), resp(OK));
    assert!(matches!(session.state(), BindState::Bound(_)));
    assert!(session.bind_again().octets().is_empty(), "the password is not kept");
}

#[test]
fn what_was_sent_behind_the_bind_ties_it_to_its_smsc() {
    let mut session = binding_with(true);
    give(&mut session, &REFUSING, &bare(Command::EnquireLink.id(), OK, 2), 0);
    assert!(!session.can_bind_elsewhere());
    assert_eq!(relay(&mut session, &resp(ERROR), 1), resp(ERROR));
}

#[test]
fn a_second_bind_of_the_same_connection_is_answered_by_its_smsc() {
    let mut session = binding_with(true);
    let refused = resp(CommandStatus::ESME_RINVPASWD);
    assert_eq!(relay(&mut session, &refused, 1), refused);
    give(&mut session, &REFUSING, &bind(Command::BindTransceiver), 2);
    assert_eq!(relay(&mut session, &resp(ERROR), 3), resp(ERROR));
}

#[test]
fn no_shown_form_of_a_session_holds_the_password() {
    let session = binding_with(true);
    let secret = format!("{:?}", b"secret").trim_matches(['[', ']']).to_owned();
    assert!(!format!("{session:?}").contains(&secret));
}
