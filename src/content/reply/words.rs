//! The fixed words of replies, folded, each group with where it comes from. A language enters with
//! its source; other words are honoured where a message announced them.

/// Words with blanks between them.
type Group = &'static str;

/// Ends consent.
pub(super) const OPT_OUT: [Group; 7] =
    [LETTERS, WRITTEN, REQUESTS, PER_SE, CARRIERS, SPANISH, ENGLISH_REQUESTS];

/// What Chinese platforms announce: 拒收请回复R, 回T退订, TD退订, 退订回N, 回D退订, 回QX退订. Alone they
/// refuse even where "回复N取消" asked to confirm an order: consent ended by mistake costs an
/// advertisement, consent kept by mistake breaks Order 31 art. 18.
const LETTERS: Group = "T TD N R TT D QX";

/// The same written out, in pinyin, or mistyped.
const WRITTEN: Group = "退订 退定 退订阅 拒收 拒绝 拒绝接收 拒绝接受 拒接收 取消 取消订阅 取消接收 TUIDING \
    JUSHOU QUXIAO";

/// Plain requests: Order 31 art. 20 forbids obstacles, so no keyword is needed.
const REQUESTS: Group = "不要再发 不要再发送 不要发 不要发送 别发 别再发 别发送 勿发 勿发送 勿再发 不要再给我发 \
    不要给我发 别再给我发 别给我发 停止发送 停止接收 停止推送 停止 停发 不接收 不再接收 不想接收 不想再接收 不愿接收 \
    不想收到 不想再收到 免打扰 勿扰 勿打扰 不要打扰 不要再打扰 别打扰 别再打扰";

/// United States: revocations per se, 47 CFR 64.1200(a)(10).
const PER_SE: Group = "STOP QUIT END REVOKE OPTOUT CANCEL UNSUBSCRIBE";

/// Common to carriers there and in Canada (TD too), and shorter spellings.
const CARRIERS: Group = "STOPALL REMOVE ARRET UNSUB OPTMEOUT";

/// ALTO in the carriers' rules for short codes, BAJA and CANCELAR in those of the Mobile Marketing
/// Association; no más is a common example of another wording that 47 CFR 64.1200(a)(10) covers.
const SPANISH: Group = "ALTO BAJA CANCELAR NOMAS";

/// Any reasonable wording counts (47 CFR 64.1200(a)(10)): the plainest.
const ENGLISH_REQUESTS: Group = "DONOTTEXT DONOTTEXTME DONTTEXT DONTTEXTME DONOTMESSAGEME \
    DONTMESSAGEME DONOTCONTACT DONOTCONTACTME DONTCONTACTME NOMORETEXTS NOMOREMESSAGES NOMORESMS \
    TAKEMEOFF LEAVEMEALONE";

/// Gives consent where it was asked for, when nothing else is said. Explicit words only (Order 74:
/// 明示同意), so neither OK nor 确认 nor 1.
pub(super) const OPT_IN: [Group; 2] = [
    "Y YES AGREE IAGREE START UNSTOP SUBSCRIBE OPTIN",
    "是 是的 同意 我同意 同意接收 同意订阅 愿意 愿意接收 订阅 我要订阅 接收 恢复订阅 恢复接收 取消退订 取消拒收",
];

/// Said with a keyword, and nothing by themselves. Latin ones stand as words of their own, Chinese
/// ones also run on. A longer one stands before what it begins or ends with.
pub(super) const COURTESY: [Group; 2] = [
    "PLEASE PLS PLZ KINDLY THANKS THX REPLY NOW",
    "请 麻烦 谢谢 谢了 多谢 感谢 谢 回复 发送 回 马上 立即 立刻 申请",
];

/// What is to end, who speaks, greetings and particles: said with a keyword of at least two
/// letters. "T了" and "我R" are slang, "T me" and "N短信" are nothing.
pub(super) const OBJECT: [Group; 3] = [
    "ALL ME SMS TEXT TEXTS TXT TXTS TEXTING MSG MSGS MESSAGE MESSAGES MESSAGING SENDING THESE THIS \
     ADS ADVERTS SPAM HI HELLO",
    "短信 短讯 简讯 信息 消息 讯息 广告 推送 推广 营销 通知 全部 所有 一切 本 此 该 这个 这种 这类 这些 你们的 你们",
    "的 吧 了 啊 呀 哦 啦 喔 啰 咯 你好 您好 我要 我想 我 要求 要 帮我 帮忙 给我",
];

/// The words of groups, one by one.
pub(super) fn each(groups: &[Group]) -> impl Iterator<Item = &'static str> {
    groups.iter().flat_map(|group| group.split_ascii_whitespace())
}

/// Whether a folded word is one of them.
pub(super) fn has(groups: &[Group], word: &str) -> bool {
    each(groups).any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::super::Keyword;
    use super::*;

    #[test]
    fn words_are_folded_and_each_has_one_meaning() {
        let groups = [OPT_OUT.as_slice(), &OPT_IN, &COURTESY, &OBJECT];
        let all: Vec<&str> = groups.into_iter().flat_map(each).collect();
        for (at, word) in all.iter().enumerate() {
            assert_eq!(Keyword::new(word).expect(word).as_str(), *word);
            assert!(!all[..at].contains(word), "{word} stands twice");
        }
    }
}
