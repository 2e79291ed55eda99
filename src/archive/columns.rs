//! The columns of every table that leaves the journal: CSV, NDJSON, Parquet, mirrors.
//!
//! Names and meanings are stable; a new column goes to the end. `docs/records.md` has them as a table.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A whole number from 0: 64 bits, below 2^63.
    Number,
    /// Microseconds since the Unix epoch, UTC; in texts RFC 3339 with six digits of the second.
    Time,
    /// Text, UTF-8.
    Text,
}

/// One line a column: its variant, its name, what it holds, what it says in English and in Chinese.
macro_rules! columns {
    ($($variant:ident $name:literal $holds:ident $says:literal $chinese:literal)*) => {
        /// A column.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Column {
            $(#[doc = $says] $variant,)*
        }

        impl Column {
            /// All of them, in the order in which they stand in every table.
            pub const ALL: &[Column] = &[$(Column::$variant,)*];

            /// Its name in a header, an object, a schema.
            pub fn name(self) -> &'static str {
                match self { $(Column::$variant => $name,)* }
            }

            /// What its values are, where there is one.
            pub fn holds(self) -> Holds {
                match self { $(Column::$variant => Holds::$holds,)* }
            }

            /// What it says.
            pub fn says(self) -> &'static str {
                match self { $(Column::$variant => $says,)* }
            }

            /// The same in Chinese.
            pub fn says_in_chinese(self) -> &'static str {
                match self { $(Column::$variant => $chinese,)* }
            }
        }
    };
}

columns! {
    Record "record" Number "Number of the record in the journal; the row's key" "记录编号（主键）"
    Time "time" Time "When it happened; of a message: when it came" "时间（UTC）；短信为接收时间"
    Kind "kind" Text "Kind of the record: verdict (a message), bind, reply, receipt, ..." "记录类型：verdict 为短信"
    Session "session" Number "The session" "会话编号"
    Provider "provider" Text "The provider's name from the registry" "短信息内容提供者名称"
    SystemId "system_id" Text "system_id of the session's bind" "接入账号"
    Command "command" Text "The SMPP command" "SMPP 命令"
    SequenceNumber "sequence_number" Number "sequence_number of the request" "SMPP 序号"
    SourceTon "source_ton" Number "source_addr_ton" "源地址号码类型"
    SourceNpi "source_npi" Number "source_addr_npi" "源地址编号方案"
    Source "source" Text "The sender as it came; a code whole, a person's number masked unless the table has whole numbers" "源号码（端口号码）"
    SourceToken "source_token" Text "Keyed token of a person's number that sent: 16 hexadecimal digits, equal for equal numbers" "源号码密钥摘要"
    DestinationTon "destination_ton" Number "dest_addr_ton" "目的地址号码类型"
    DestinationNpi "destination_npi" Number "dest_addr_npi" "目的地址编号方案"
    Destination "destination" Text "The recipient as it came; a code whole, a person's number masked unless the table has whole numbers" "目的号码（接收用户）"
    DestinationToken "destination_token" Text "Keyed token of a person's number that received" "目的号码密钥摘要"
    Octets "octets" Number "command_length of the request" "请求长度（字节）"
    EsmClass "esm_class" Number "esm_class" "esm_class"
    DataCoding "data_coding" Number "data_coding" "数据编码"
    Part "part" Number "Which part it is of a longer message, from 1" "长短信分段序号"
    Parts "parts" Number "How many parts the longer message has" "长短信分段总数"
    PartReference "part_reference" Number "Reference number of the longer message" "长短信参考号"
    Class "class" Text "What its text was called: commercial, service, public, personal, fraud, illicit" "短信类别：commercial 为商业性"
    ConsentEvent "consent_event" Number "Event of the consent ledger that decided" "同意记录编号"
    EntityId "entity_id" Text "Id of the entity that the message named in its vendor's parameter" "报文所附主体标识"
    TemplateId "template_id" Text "Id of the template that it named" "报文所附模板标识"
    ConsentId "consent_id" Text "Id of the consent that it named" "报文所附同意标识"
    Verdict "verdict" Text "pass, refuse or observe (went on although a rule in observe mode would have refused it)" "判定：pass 通过，refuse 拒绝，observe 观察"
    Rule "rule" Text "The rule that decided or observed" "适用规则"
    Article "article" Text "The article that the rule rests on, in the rule set in force then" "法规条款"
    RuleSet "rule_set" Text "The rule set in force then" "规则集"
    Observed "observed" Text "Rules in observe mode that would have refused it, blanks between them" "观察模式下会拒绝的规则"
    Status "status" Text "command_status that the proxy gave" "返回状态"
    Became "became" Text "What became of a message: refused, answered, unanswered, unknown (not yet)" "处理结果：refused 已拒绝，answered 已应答，unanswered 未应答"
    AnswerRecord "answer_record" Number "Record of the SMSC's answer, or of its absence" "应答记录编号"
    ResponseStatus "response_status" Text "command_status of the SMSC's answer" "短信中心应答状态"
    LatencyUs "latency_us" Number "From sending it on to the SMSC's answer, microseconds" "应答时延（微秒）"
    MessageId "message_id" Text "message_id that the SMSC gave, what is not printable ASCII escaped" "短信中心消息编号"
    ReceiptRecord "receipt_record" Number "Record of the delivery receipt" "状态报告记录编号"
    ReceiptTime "receipt_time" Time "When the receipt came" "状态报告到达时间"
    ReceiptState "receipt_state" Text "State that the receipt reports: delivered, undeliverable, expired, ..." "投递状态"
    ReceiptError "receipt_error" Text "Error code of the receipt" "投递错误码"
    ReceiptDone "receipt_done" Text "When the message reached that state, as the receipt says it, in the SMSC's own zone" "状态报告所载完成时间"
    Says "says" Text "What a handset's reply or an event of consent says: opt-out, opt-in, ..." "用户回复含义：opt-out 退订，opt-in 同意"
    Text "text" Text "What a message says, as a handset reads it; only in exports made with an auditor's key" "短信内容"
    TextHex "text_hex" Text "Octets of that, or of a reply's own words, in hexadecimal; of replies only in tables with whole numbers" "短信内容或用户回复原文（十六进制）"
    SealedHex "sealed_hex" Text "What only auditors can open, in hexadecimal: a content as the journal has it, or the wrapped key of its segment; only in mirrors with content" "仅审计方可解密的内容或其密钥（十六进制）"
    Peer "peer" Text "Address and port that a bind came from" "接入地址"
    Smsc "smsc" Text "Address and port of the SMSC that a bind went to" "短信中心地址"
    Listener "listener" Text "The listener that a bind came to" "监听地址"
    Detail "detail" Text "What the other kinds of records say: one JSON object" "其他内容（JSON）"
}

impl Column {
    /// How many there are.
    pub const COUNT: usize = Column::ALL.len();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_their_order_under_names_of_their_own() {
        for (at, column) in Column::ALL.iter().enumerate() {
            assert_eq!(*column as usize, at, "{}", column.name());
            let same = Column::ALL.iter().filter(|other| other.name() == column.name()).count();
            assert_eq!(same, 1, "{}", column.name());
        }
    }
}
