//! What each label may be: closed sets, named by the code and never by a peer.

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident $label:literal)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value,)*
        }

        impl $name {
            /// Every value, in the order of `as usize`.
            pub const ALL: [$name; [$($name::$value),*].len()] = [$($name::$value),*];

            /// The value as the label shows it.
            pub const fn name(self) -> &'static str {
                match self { $($name::$value => $label,)* }
            }
        }
    )*};
}

labels! {
    /// How questions to a ledger that nodes share were answered.
    Lookup {
        /// From memory.
        Hit "hit"
        /// Looked up at the engine.
        Fetched "fetched"
        /// Not in time.
        Late "late"
    }
    /// Who sent a PDU.
    Side {
        /// The client.
        Esme "esme"
        /// The message centre.
        Smsc "smsc"
    }
    /// What became of a request.
    Verdict {
        /// It went on.
        Pass "pass"
        /// It was answered by us.
        Refuse "refuse"
        /// It went on although a rule refuses it, because that rule only observes.
        Observe "observe"
    }
    /// What an ESME asked to be bound as (SMPP 3.4 2.2).
    BindMode {
        /// bind_transmitter.
        Transmitter "transmitter"
        /// bind_receiver.
        Receiver "receiver"
        /// bind_transceiver.
        Transceiver "transceiver"
    }
    /// State of a session (SMPP 3.4 2.2, 5.0 2.3).
    SessionState {
        /// Connected, no bind yet.
        Open "open"
        /// The bind is with the SMSC.
        Binding "binding"
        /// Bound as a transmitter.
        BoundTx "bound_tx"
        /// Bound as a receiver.
        BoundRx "bound_rx"
        /// Bound as a transceiver.
        BoundTrx "bound_trx"
        /// An unbind was sent, or the last answers are awaited.
        Unbinding "unbinding"
    }
    /// What happened to consent.
    ConsentEvent {
        /// Consent was given.
        Granted "granted"
        /// It was refused or ended.
        Revoked "revoked"
        /// A proof was looked at.
        Reviewed "reviewed"
        /// Consent was asked for.
        Asked "asked"
        /// A message went on under a promised frequency.
        Sent "sent"
    }
    /// Why a consent ended.
    Revocation {
        /// The recipient refused.
        Refused "refused"
        /// The number was given to somebody else.
        Recycled "recycled"
        /// Somebody complained.
        Complaint "complaint"
        /// The operator or the provider ended it.
        Operator "operator"
    }
    /// Why a connection never became a session.
    Refused {
        /// `[limits] sessions`.
        Sessions "sessions"
        /// `[limits] sessions_per_address`.
        SessionsPerAddress "sessions_per_address"
        /// `[limits] sessions_per_provider`: the bind was refused.
        SessionsPerProvider "sessions_per_provider"
        /// `[limits] buffered`.
        Buffered "buffered"
        /// Not of the networks in `[[listen]] allow`.
        NotAllowed "not_allowed"
        /// `[limits] bind_failures`: too many connections of an address wait for their time.
        BindFailures "bind_failures"
        /// A balancer that did not say whose connection it is.
        ProxyProtocol "proxy_protocol"
        /// The process is being stopped.
        Draining "draining"
        /// No TLS handshake, or none in time, or without a certificate that is good here.
        TlsHandshake "tls_handshake"
        /// The system has no socket or file descriptor left.
        System "system"
    }
    /// What became of a frame that a capture wanted.
    CaptureOutcome {
        /// It stands in a file.
        Written "written"
        /// The writer was behind: it stands nowhere.
        Dropped "dropped"
    }
    /// What nodes exchange.
    Exchanged {
        /// Leases of providers' rates.
        Rates "rates"
        /// Where messages went.
        Sweeps "sweeps"
        /// Announced keywords.
        Keywords "keywords"
    }
    /// What became of a span.
    SpanOutcome {
        /// The collector took it.
        Sent "sent"
        /// Too many waited for the collector.
        Dropped "dropped"
        /// The collector was not there, or refused it.
        Failed "failed"
    }
    /// What came of a reload.
    Reloaded {
        /// Other rules or settings are in force since.
        Changed "changed"
        /// What is in force is what stood in the files.
        Unchanged "unchanged"
        /// The files cannot be in force: nothing changed.
        Failed "failed"
    }
    /// Why a capture ended.
    CaptureEnd {
        /// It was stopped.
        Asked "asked"
        /// Its time was over.
        Duration "duration"
        /// It had written its octets.
        Size "size"
        /// Its file could not be written.
        Storage "storage"
    }
    /// Protocols that are met on SMPP ports.
    ForeignProtocol {
        /// HTTP.
        Http "http"
        /// AMQP.
        Amqp "amqp"
        /// SSH.
        Ssh "ssh"
        /// HAProxy's PROXY protocol.
        Proxy "proxy"
        /// TLS.
        Tls "tls"
        /// Any other.
        Other "other"
    }
}

impl ForeignProtocol {
    /// The label of a name in [`FrameFault::Foreign`](crate::smpp::frame::FrameFault::Foreign).
    pub fn of(name: &str) -> ForeignProtocol {
        match name {
            "HTTP" => ForeignProtocol::Http,
            "AMQP" => ForeignProtocol::Amqp,
            "SSH" => ForeignProtocol::Ssh,
            "PROXY protocol" => ForeignProtocol::Proxy,
            "TLS" => ForeignProtocol::Tls,
            _ => ForeignProtocol::Other,
        }
    }
}
