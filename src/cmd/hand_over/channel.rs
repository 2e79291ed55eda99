//! What a process and its successor tell each other: one word a packet, sockets beside the first one.
//!
//! The channel is a pair of Unix sockets that keep packets apart (SOCK_SEQPACKET); sockets cross as
//! SCM_RIGHTS (unix(7)). Whoever ends closes his side, which the other one hears.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::super::sockets::GIVEN_MAX;

/// The longest packet, octets: an address in each of `GIVEN_MAX` lines, or why something failed.
const PACKET_OCTETS_MAX: usize = 16 * 1024;
/// For a packet to be taken by the system: there is always room for the few that are sent.
const SEND_WAIT: Duration = Duration::from_secs(5);
/// Begins the first packet: what the two speak. Another number is another language.
const GREETING: &str = "consentry-hand-over 1";

/// One side of it.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// What is told.
#[derive(Debug)]
pub(super) enum Word {
    /// Listening sockets, each with its address in the configuration.
    Sockets(Vec<(SocketAddr, OwnedFd)>),
    /// The successor could serve.
    Ready,
    /// Journal and ledger are closed: serve.
    Go,
    /// The successor serves.
    Serving,
    /// It is the service now.
    Yours,
    /// The successor cannot serve, and why.
    Refused(String),
}

impl Channel {
    /// Both sides.
    pub(super) fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (one, other) = socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        Ok((Channel(one), other))
    }

    /// The side that this process was started with as its standard input.
    pub(super) fn on_stdin() -> io::Result<Channel> {
        io::stdin().as_fd().try_clone_to_owned().map(Channel)
    }

    /// Hands sockets over.
    pub(super) fn hand<'a>(
        &self,
        sockets: impl Iterator<Item = (SocketAddr, BorrowedFd<'a>)>,
    ) -> io::Result<()> {
        let mut text = GREETING.to_owned();
        let mut descriptors = Vec::new();
        for (address, socket) in sockets {
            text += &format!("\n{address}");
            descriptors.push(socket);
        }
        self.send(&text, &descriptors)
    }

    /// Tells that cannot be misheard: everything but sockets.
    pub(super) fn tell(&self, word: &Word) -> io::Result<()> {
        match word {
            Word::Sockets(_) => Err(io::Error::other("sockets are handed, not told")),
            Word::Ready => self.send("ready", &[]),
            Word::Go => self.send("go", &[]),
            Word::Serving => self.send("serving", &[]),
            Word::Yours => self.send("yours", &[]),
            Word::Refused(why) => self.send(&format!("refused {why}"), &[]),
        }
    }

    fn send(&self, text: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        set_socket_timeout(&self.0, Timeout::Send, Some(SEND_WAIT))?;
        let octets = text.as_bytes();
        let octets = octets.get(..PACKET_OCTETS_MAX).unwrap_or(octets);
        let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(GIVEN_MAX))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        // The space is rounded up, and would do for a few more.
        let is_few = descriptors.len() <= GIVEN_MAX;
        if !is_few
            || !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(io::Error::other("too many sockets at once"));
        }
        sendmsg(&self.0, &[IoSlice::new(octets)], &mut beside, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next word; `None` when the other side has ended. [`io::ErrorKind::WouldBlock`] when nothing is
    /// said within that time, which is more than nothing.
    pub(super) fn hear(&self, within: Duration) -> io::Result<Option<Word>> {
        set_socket_timeout(&self.0, Timeout::Recv, Some(within))?;
        let mut octets = vec![0; PACKET_OCTETS_MAX];
        let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(GIVEN_MAX))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = recvmsg(&self.0, &mut [IoSliceMut::new(&mut octets)], &mut beside, flags)?;
        let mut descriptors = Vec::new();
        for one in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = one {
                descriptors.extend(more);
            }
        }
        if got.bytes == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(octets.get(..got.bytes).unwrap_or_default());
        let strange = || io::Error::new(io::ErrorKind::InvalidData, "what was said is not known");
        word(&text, descriptors).map(Some).ok_or_else(strange)
    }
}

/// A packet's meaning; `None` for one that this version does not know.
fn word(text: &str, descriptors: Vec<OwnedFd>) -> Option<Word> {
    if let Some(rest) = text.strip_prefix(GREETING) {
        let addresses: Vec<SocketAddr> =
            rest.lines().skip(1).map(|line| line.parse().ok()).collect::<Option<_>>()?;
        let is_whole =
            (rest.is_empty() || rest.starts_with('\n')) && addresses.len() == descriptors.len();
        return is_whole.then(|| Word::Sockets(addresses.into_iter().zip(descriptors).collect()));
    }
    match text.split_once(' ').unwrap_or((text, "")) {
        ("ready", "") => Some(Word::Ready),
        ("go", "") => Some(Word::Go),
        ("serving", "") => Some(Word::Serving),
        ("yours", "") => Some(Word::Yours),
        ("refused", why) => Some(Word::Refused(why.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn both() -> (Channel, Channel) {
        let (one, other) = Channel::pair().unwrap();
        (one, Channel(other))
    }

    #[test]
    fn words_are_heard_as_they_were_told() {
        let (one, other) = both();
        let why = "consentry.toml:3: 地址".to_owned();
        for word in [Word::Ready, Word::Go, Word::Serving, Word::Yours, Word::Refused(why)] {
            one.tell(&word).unwrap();
            let heard = other.hear(PATIENCE).unwrap();
            assert_eq!(format!("{heard:?}"), format!("{:?}", Some(word)));
        }
        let long = "x".repeat(2 * PACKET_OCTETS_MAX);
        one.tell(&Word::Refused(long)).unwrap();
        assert!(
            matches!(other.hear(PATIENCE).unwrap(), Some(Word::Refused(why)) if why.len() > 1_000)
        );
        let silent = other.hear(Duration::from_millis(1)).unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::WouldBlock);
        drop(one);
        assert!(other.hear(PATIENCE).unwrap().is_none(), "the other side has ended");
    }

    #[test]
    fn as_many_sockets_as_a_configuration_has_cross_and_listen() {
        for count in [0, 1, GIVEN_MAX] {
            let (one, other) = both();
            let listeners: Vec<_> =
                (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
            let configured: SocketAddr = "127.0.0.1:0".parse().unwrap();
            one.hand(listeners.iter().map(|one| (configured, one.as_fd()))).unwrap();
            let Some(Word::Sockets(sockets)) = other.hear(PATIENCE).unwrap() else {
                panic!("sockets were handed");
            };
            assert_eq!(sockets.len(), count);
            for ((address, socket), listener) in sockets.into_iter().zip(&listeners) {
                let same = TcpListener::from(socket).local_addr().unwrap();
                assert_eq!((address, same), (configured, listener.local_addr().unwrap()));
            }
        }
        let (one, _other) = both();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let many = (0..=GIVEN_MAX).map(|_| ("127.0.0.1:1".parse().unwrap(), listener.as_fd()));
        assert!(one.hand(many).is_err(), "one more than any configuration has");
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_anything() {
        for text in [
            "consentry-hand-over 2\n127.0.0.1:1",
            "consentry-hand-over 10",
            "consentry-hand-over 1\n127.0.0.1:1",
            "consentry-hand-over 1\nlocalhost",
            "go now",
            "READY",
            "\n",
        ] {
            assert!(word(text, Vec::new()).is_none(), "{text:?}");
        }
    }
}
