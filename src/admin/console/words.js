// Words, numbers and times as they are shown.

/** What the rules are called in Chinese. */
const RULES = {
  "provider.unknown": "未登记的接入方",
  "provider.licence": "许可缺失或失效",
  "provider.location": "接入地点不符",
  "provider.certificate": "客户端证书不符",
  "provider.identity": "真实身份未核验",
  "source.missing": "缺少发送号码",
  "source.malformed": "发送号码格式错误",
  "source.forged": "虚假、冒用号码",
  "source.second": "夹带其他发送方",
  "code.length": "码号超长",
  "code.region": "超出使用区域",
  "code.purpose": "超出码号用途",
  "destination.malformed": "接收号码无效",
  "destination.list": "群发名单",
  "body.ambiguous": "正文不唯一",
  "body.empty": "没有正文",
  "body.stored": "正文预存在短信中心",
  "command.refused": "命令不允许",
  "pdu.malformed": "报文格式错误",
  "rate.exceeded": "超出约定速率",
  "audit.unavailable": "无法记录",
  "ledger.unavailable": "无法查询同意",
  "session.draining": "正在停机",
  "consent.missing": "未经同意",
  "consent.revoked": "已拒绝接收",
  "consent.expired": "同意已过期",
  "consent.repeat": "超出承诺频次",
  "notice.missing": "未说明退订方式",
  "signature.missing": "缺少签名",
  "signature.unregistered": "签名未登记",
  "content.prohibited": "含禁用词语",
  "content.undecodable": "内容无法读取",
  "parts.malformed": "长短信分段错误",
  "parts.limit": "长短信超出限度",
  "form.replacing": "替换已有短信",
  "form.service": "服务类型不符",
  "form.protocol": "静默或机器协议",
  "form.mode": "消息模式不符",
  "form.program": "发往程序或卡",
  "form.binary": "二进制内容",
  "form.display": "特殊显示方式",
  "schedule.beyond": "定时超出同意期限",
  "recipients.swept": "号码组合",
  "public.unfiled": "公益短信未备案",
  "multi.refused": "群发中他人被拒",
  "earlier.unknown": "原短信不明",
};

export const chinese = (rule) => RULES[rule] ?? "";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
export const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));
export const counted = (value, one, many) => `${count(value)} ${value === 1 ? one : many}`;
export const rate = (value) => (value >= 100 ? whole : tenth).format(value ?? 0);

/** Microseconds as a length of time. */
export function latency(us) {
  if (us === null || us === undefined) return "–";
  if (us < 1000) return `${us} µs`;
  return us < 1e6 ? `${tenth.format(us / 1000)} ms` : `${tenth.format(us / 1e6)} s`;
}

export function octets(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; value >= 1024 && at < units.length - 1; at += 1) value /= 1024;
  return `${tenth.format(value)} ${units[at]}`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("sv", { dateStyle: "short" });
/** The time of day here; with the date where it is another day. */
export function moment(text) {
  if (!text) return "";
  const at = new Date(text);
  const date = day.format(at);
  return date === day.format(new Date()) ? clock.format(at) : `${date} ${clock.format(at)}`;
}

/** How long ago, in the largest unit. */
export function ago(text) {
  const seconds = Math.max(0, (Date.now() - new Date(text)) / 1000);
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}
