//! The cover: what an inspector reads first. Chinese, then the same in English.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::super::columns::{Column, Holds};
use super::sheet::Format;
use super::summary::Summary;
use super::{MANIFEST, PROOFS, PUBLIC_KEY, SIGNATURE};

/// What the cover says.
pub(super) struct Cover<'a> {
    pub format: Format,
    /// What was asked for, by name.
    pub asked: &'a BTreeMap<String, String>,
    /// Whether what messages say is in it.
    pub texts: bool,
    pub summary: &'a Summary,
    /// Records that are proved.
    pub records: u64,
    /// The key that signed, by its id.
    pub key: &'a str,
}

impl Cover<'_> {
    /// Its text. Nothing in it depends on when or where it was made.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // A String takes all that is written.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let table = self.format.file();
        let Cover { summary, records, key, .. } = self;
        writeln!(out, "短信合规记录导出\nRecords of SMS compliance, exported from Consentry\n")?;
        writeln!(out, "== 中文 ==\n")?;
        self.facts(out, &CHINESE)?;
        writeln!(
            out,
            "\n本导出为监管检查而制作，其中的电话号码与用户回复均为完整内容，属于个人信息，请按法律妥善保管。"
        )?;
        if self.texts {
            writeln!(out, "经审计方密钥解密，本导出含短信内容（text 与 text_hex 两列）。")?;
        }
        writeln!(
            out,
            "表格每一行对应一条短信、一次接入或一条用户回复；共 {} 行，依据 {records} 条日志记录。",
            summary.rows
        )?;
        writeln!(
            out,
            "核验：仅需公钥（指纹 {key}）。\n  consentry audit verify --bundle 本目录 --key {PUBLIC_KEY}\n\
             或仅核验签名：\n  openssl pkeyutl -verify -pubin -inkey {PUBLIC_KEY} -rawin -in {MANIFEST} -sigfile {SIGNATURE}\n\
             公钥须由其他可信途径取得，不能仅凭本目录中的副本。"
        )?;
        writeln!(
            out,
            "核验证明：每行所依据的记录确在已签名的日志中，内容未被改动。是否有遗漏，须核验日志本身。"
        )?;
        writeln!(
            out,
            "CSV 为 UTF-8 编码；以 = + - @ 开头的单元格前加了单引号，以免被电子表格当作公式。\n\
             用电子表格打开时请把号码列按文本导入，否则长号码会被改写。"
        )?;
        writeln!(
            out,
            "\n文件：{table} 记录；{PROOFS} 证明；{PUBLIC_KEY} 公钥；{MANIFEST} 清单；{SIGNATURE} 清单的签名。"
        )?;
        writeln!(out, "\n各列：")?;
        for column in Column::ALL {
            writeln!(out, "  {:<18} {}", column.name(), column.says_in_chinese())?;
        }
        writeln!(out, "\n== English ==\n")?;
        self.facts(out, &ENGLISH)?;
        writeln!(
            out,
            "\nMade for an inspection: telephone numbers and the words of replies are whole. They are personal\n\
             information; keep them as the law asks."
        )?;
        if self.texts {
            writeln!(
                out,
                "With an auditor's key, what messages say is in it: the columns text and text_hex."
            )?;
        }
        writeln!(
            out,
            "Each row of the table is a message, a bind or a reply: {} rows, resting on {records} records of the\n\
             journal.",
            summary.rows
        )?;
        writeln!(
            out,
            "To check it, the public key is enough (its id is {key}):\n  \
             consentry audit verify --bundle THIS_FOLDER --key {PUBLIC_KEY}\nor the signature alone:\n  \
             openssl pkeyutl -verify -pubin -inkey {PUBLIC_KEY} -rawin -in {MANIFEST} -sigfile {SIGNATURE}\n\
             Take the key from a source of your own, not only the copy in this folder."
        )?;
        writeln!(
            out,
            "It proves that every record that a row rests on stood in the signed journal as it is here. That\n\
             nothing was left out is proved by the journal itself."
        )?;
        writeln!(
            out,
            "The CSV is UTF-8; a cell that begins with = + - @ has an apostrophe before it, so that no\n\
             spreadsheet takes it for a formula. Import the columns of numbers as text: spreadsheets round\n\
             long numbers."
        )?;
        writeln!(
            out,
            "\nFiles: {table} the records; {PROOFS} what proves them; {PUBLIC_KEY} the public key;\n\
             {MANIFEST} the list of files; {SIGNATURE} its signature."
        )?;
        writeln!(out, "\nColumns:")?;
        for column in Column::ALL {
            let holds = match column.holds() {
                Holds::Number => "number",
                Holds::Time => "time",
                Holds::Text => "text",
            };
            writeln!(out, "  {:<18} {holds:<6} {}", column.name(), column.says())?;
        }
        Ok(())
    }

    /// What was asked for and what was found.
    fn facts(&self, out: &mut String, words: &Words) -> std::fmt::Result {
        let Summary {
            times,
            kinds,
            verdicts,
            became,
            classes,
            articles,
            providers,
            receipts,
            texts,
            ..
        } = self.summary;
        writeln!(out, "{}:", words.asked)?;
        if self.asked.is_empty() {
            writeln!(out, "  {}", words.everything)?;
        }
        for (name, value) in self.asked {
            writeln!(out, "  {name} = {}", Value::from(value.as_str()))?;
        }
        if let Some((first, last)) = times {
            writeln!(out, "{}: {} – {}", words.period, in_china(*first), in_china(*last))?;
        }
        for (head, counts) in [
            (words.kinds, kinds),
            (words.verdicts, verdicts),
            (words.became, became),
            (words.classes, classes),
        ] {
            if counts.is_empty() {
                continue;
            }
            let all: Vec<String> =
                counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            writeln!(out, "{head}: {}", all.join(", "))?;
        }
        writeln!(out, "{}: {receipts}", words.receipts)?;
        if self.texts {
            writeln!(out, "{}: {texts}", words.texts)?;
        }
        if !articles.is_empty() {
            writeln!(out, "{}:", words.articles)?;
        }
        for ((article, rule), count) in articles {
            writeln!(out, "  {count:>8}  {rule:<22}  {article}")?;
        }
        if !providers.is_empty() {
            writeln!(out, "{}:", words.providers)?;
        }
        for provider in providers {
            writeln!(out, "  {}", provider.escape_debug())?;
        }
        Ok(())
    }
}

struct Words {
    asked: &'static str,
    everything: &'static str,
    period: &'static str,
    kinds: &'static str,
    verdicts: &'static str,
    became: &'static str,
    classes: &'static str,
    receipts: &'static str,
    texts: &'static str,
    articles: &'static str,
    providers: &'static str,
}

const CHINESE: Words = Words {
    asked: "导出条件",
    everything: "全部记录",
    period: "首末记录时间（北京时间）",
    kinds: "记录类型（verdict 短信，bind 接入，reply 用户回复）",
    verdicts: "短信判定（pass 通过，refuse 拒绝，observe 观察）",
    became: "处理结果（answered 已应答，refused 已拒绝，unanswered 未应答，unknown 未知）",
    classes: "短信类别（commercial 商业性，service 服务，public 公益性）",
    receipts: "有状态报告的短信",
    texts: "含内容的短信",
    articles: "按法规条款与规则计",
    providers: "短信息内容提供者",
};

const ENGLISH: Words = Words {
    asked: "Asked for",
    everything: "all records",
    period: "First and last time (UTC+8)",
    kinds: "Kinds of records (verdict: a message)",
    verdicts: "Verdicts on messages",
    became: "What became of messages",
    classes: "Classes of messages",
    receipts: "Messages with a receipt",
    texts: "Messages with what they say",
    articles: "By article and rule",
    providers: "Providers",
};

/// A time as clocks in China show it.
fn in_china(micros: u64) -> String {
    let offset = jiff::tz::offset(8);
    i64::try_from(micros)
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .map_or_else(|| micros.to_string(), |time| format!("{:.0}", offset.to_datetime(time)))
}
