//! The end of a pair: what was decided is still written, answers on their way are still
//! recorded, and then both sockets are closed, within the close time.
//!
//! A socket that is closed with unread octets resets the connection, and the reset can overtake
//! what was just written: so each side is first told that nothing more comes, and then read until
//! it closes too.

use std::future::poll_fn;
use std::task::{Context, Poll};

use tokio::time::timeout;

use super::pump::{Leg, Pair};
use super::scratch;

/// Which write sides have been shut.
#[derive(Default)]
struct Shut {
    esme: bool,
    smsc: bool,
}

/// Closes both sides in good order; gives up on peers that do not within the close time.
pub async fn close(pair: &mut Pair) {
    let within = pair.terms.settings.close;
    let mut shut = Shut::default();
    // Whether it was in time does not matter: either way both sockets go now.
    let _ = timeout(within, async {
        loop {
            pair.turn();
            let closed = poll_fn(|cx| poll(pair, &mut shut, cx)).await;
            if closed {
                break;
            }
        }
    })
    .await;
}

/// Ready with whether all is closed, once anything moved.
fn poll(pair: &mut Pair, shut: &mut Shut, cx: &mut Context<'_>) -> Poll<bool> {
    let mut any = pair.poll_writes(cx);
    any |= pair.poll_read_smsc(cx);
    any |= pair.poll_heeding(cx);
    any |= poll_discard(&mut pair.esme, cx);
    if pair.to_smsc.len() == 0
        && let Some(smsc) = &mut pair.smsc
    {
        any |= poll_shut(smsc, &mut shut.smsc, cx);
    }
    let smsc_ended = pair.smsc.as_ref().is_none_or(|smsc| smsc.ended);
    // The ESME hears the SMSC's last answers before it is told that nothing more comes.
    let is_held = pair.is_heeding();
    if pair.to_esme.len() == 0 && smsc_ended && !is_held {
        any |= poll_shut(&mut pair.esme, &mut shut.esme, cx);
    }
    let esme_closed = pair.esme.deaf || (pair.esme.ended && shut.esme);
    if smsc_ended && esme_closed && pair.to_smsc.len() == 0 {
        Poll::Ready(true)
    } else if any {
        Poll::Ready(false)
    } else {
        Poll::Pending
    }
}

fn poll_shut(leg: &mut Leg, done: &mut bool, cx: &mut Context<'_>) -> bool {
    if *done || leg.deaf || leg.stream.poll_shutdown(cx).is_pending() {
        return false;
    }
    *done = true;
    true
}

/// Reads what an ESME still sends, and lets it go: it was not accepted and gets no answer.
fn poll_discard(leg: &mut Leg, cx: &mut Context<'_>) -> bool {
    if leg.ended {
        return false;
    }
    match scratch::poll_read(&mut leg.stream, cx, |_| {}) {
        Poll::Ready(Ok(0)) => leg.ended = true,
        Poll::Ready(Ok(_)) => {}
        Poll::Ready(Err(_)) => {
            leg.ended = true;
            leg.deaf = true;
        }
        Poll::Pending => return false,
    }
    true
}
