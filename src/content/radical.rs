//! Characters that senders split into their parts, such as 讠正 for 证. Only parts that stand for
//! nothing alone are joined, so that no real word is.

/// Left part, right part, whole. Simplified text.
const SPLIT: &str = "\
讠正证 讠果课 讠十计 讠寺诗 讠卖读 讠周调 讠午许 讠川训 讠舌话 讠旬询 讠人认 讠只识 讠平评 讠公讼 讠青请 讠仑论 \
讠殳设 讠方访 讠己记 讠吾语 讠兑说 讠羊详 讠井讲 讠义议 讠身谢 讠成诚 讠秀诱 讠乍诈 讠皆谐 讠式试 讠司词 讠隹谁 \
钅艮银 钅戋钱 钅失铁 钅肖销 钅昔错 钅居锯 钅占钻 钅同铜 钅十针 钅冈钢 钅屯钝 钅甫铺 钅令铃 \
亻介价 亻尤优 亻昔借 亻言信 亻呆保 亻象像 亻足促 亻弋代 亻牛件 亻本体 亻云传 亻也他 亻尔你 亻共供 亻主住 亻乍作 \
亻专传 亻到倒 亻吏使 亻更便 亻责债 亻寸付 亻直值 \
氵舌活 氵每海 氵去法 氵肖消 氵胡湖 氵主注 氵先洗 氵台治 氵由油 氵青清 氵工江 氵同洞 \
扌丁打 扌斤折 扌仑抡 扌召招 扌殳投 扌安按 扌妾接 扌非排 扌广扩 扌甲押 扌氐抵 扌奂换 扌是提 扌由抽 \
礻兄祝 礻畐福 礻申神 礻且祖 礻土社 礻乚礼 \
纟工红 纟吉结 纟合给 纟冬终 纟及级 纟内纳 纟且组 纟录绿 纟充统 纟扁编 纟卖续 纟圣经 \
犭虫独 犭句狗 饣欠饮 饣官馆 饣反饭 饣并饼 忄夬快 忄青情 忄曼慢 彳正征 彳导得 彳艮很 彳亍行 彳聿律";

/// The character that two parts make.
pub(super) fn whole(left: char, right: char) -> Option<char> {
    if !is_part(left) {
        return None;
    }
    SPLIT.split_ascii_whitespace().find_map(|row| {
        let mut parts = row.chars();
        let is_it = parts.next() == Some(left) && parts.next() == Some(right);
        if is_it { parts.next() } else { None }
    })
}

/// The parts that make no word alone.
pub(super) const PARTS: [char; 11] =
    ['讠', '钅', '亻', '氵', '扌', '礻', '纟', '犭', '饣', '忄', '彳'];

/// Whether a character is a part that makes no word alone.
pub(super) fn is_part(c: char) -> bool {
    PARTS.contains(&c)
}
