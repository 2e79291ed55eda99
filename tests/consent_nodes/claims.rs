//! What only one node may do, one does.

use std::thread;

use consentry::consent::{Claim, Claimed, Happened, Ledger, Scope, Source};
use consentry::policy::{Period, Promise};

use super::servers;
use super::stage::{Stage, event, granted, now_us, tell, until, wait};

fn claim(ledger: &Ledger, event: consentry::consent::Event) -> Claimed {
    match ledger.claim(&[event], now_us()) {
        Claim::Asked(claiming) => wait(claiming)[0],
        Claim::Free => panic!("it is claimed"),
    }
}

#[test]
fn nodes_that_claim_the_last_message_or_the_one_request_do_not_both_have_it() {
    let Some(server) = servers::shared() else { return };
    let stage = Stage::on(server);
    let (one, other) = (stage.node("one"), stage.node("other"));
    let shop = one.entity("shop").expect("a name");
    until("names are known everywhere", || other.find_entity("shop") == Some(shop));
    let promise = Some(Promise { messages: 5, period: Period::Year });
    let told = tell(&one, &[event(shop, 1, Source::Api, granted(promise))]);
    assert_eq!(told, Ok((0, Vec::new())));
    let sent = Happened::Sent { scope: Scope::ALL };
    let asked = Happened::Asked { content: 1 };
    for (number, happened, most) in [(1, sent, 5), (2, asked, 1)] {
        let claimed = thread::scope(|scope| {
            let claims: Vec<_> = (0..8)
                .map(|nth| {
                    let ledger = if nth % 2 == 0 { &one } else { &other };
                    scope.spawn(move || {
                        claim(ledger, event(shop, number, Source::Message, happened))
                    })
                })
                .collect();
            claims.into_iter().map(|one| one.join().expect("no panic")).collect::<Vec<_>>()
        });
        let taken = claimed.iter().filter(|one| **one == Claimed::Taken).count();
        let refused = claimed.iter().filter(|one| **one == Claimed::Refused).count();
        assert_eq!((taken, refused), (most, 8 - most), "{claimed:?}");
    }
}
