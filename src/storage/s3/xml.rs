//! Just enough XML for what S3 servers answer and accept.
//!
//! Names are compared without their namespace, because servers differ in it (Google's is not Amazon's).
//! Attributes, comments and declarations are skipped. Anything malformed is `None`.

/// S3 answers with a thousand entries at most, of a dozen elements each.
const MOST: usize = 100_000;
/// Deeper answers than this are not S3's.
const DEPTH: usize = 16;

/// One element with its text and its children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The text of the first child called `name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        let child = self.children.iter().find(|child| child.name == name)?;
        Some(&child.text)
    }

    /// All children called `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Reads a document and returns its root.
pub(super) fn parse(document: &[u8]) -> Option<Element> {
    let mut rest = std::str::from_utf8(document).ok()?;
    // the first is the document itself, the others are open
    let mut open = vec![Element::default()];
    let mut elements = 0;
    while !rest.is_empty() {
        let Some(after) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            let text = unescape(&rest[..end])?;
            open.last_mut()?.text.push_str(&text);
            rest = &rest[end..];
            continue;
        };
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->")?.1;
        } else if let Some(raw) = after.strip_prefix("![CDATA[") {
            let (text, after) = raw.split_once("]]>")?;
            open.last_mut()?.text.push_str(text);
            rest = after;
        } else {
            let (tag, after) = after.split_once('>')?;
            rest = after;
            match tag.as_bytes().first()? {
                b'?' | b'!' => {}
                b'/' => close(&mut open, local_name(&tag[1..]))?,
                _ => {
                    let (tag, empty) = match tag.strip_suffix('/') {
                        Some(tag) => (tag, true),
                        None => (tag, false),
                    };
                    let name = local_name(tag).to_string();
                    elements += 1;
                    if open.len() > DEPTH || elements > MOST {
                        return None;
                    }
                    open.push(Element {
                        name: name.clone(),
                        ..Element::default()
                    });
                    if empty {
                        close(&mut open, &name)?;
                    }
                }
            }
        }
    }
    let document = open.pop()?;
    (open.is_empty()).then_some(())?;
    document.children.into_iter().next()
}

fn close(open: &mut Vec<Element>, name: &str) -> Option<()> {
    let element = open.pop()?;
    if element.name != name {
        return None;
    }
    open.last_mut()?.children.push(element);
    Some(())
}

/// `s3:Key attribute="…"` is `Key`.
fn local_name(tag: &str) -> &str {
    let name = tag.split_ascii_whitespace().next().unwrap_or("");
    name.rsplit(':').next().unwrap_or(name)
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (entity, after) = after.split_once(';')?;
        rest = after;
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
    }
    plain.push_str(rest);
    Some(plain)
}

/// `text` as it stands between two tags; control characters as references, which S3 reads back.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            control if control < ' ' => {
                escaped.push_str(&format!("&#x{:x};", u32::from(control)));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_endless_elements_is_none_of_s3() {
        let of = |count: usize| parse(format!("<a>{}</a>", "<b/>".repeat(count)).as_bytes());
        assert!(of(MOST - 1).is_some());
        assert!(of(MOST).is_none());
    }

    #[test]
    fn a_listing_of_any_namespace_is_read() {
        let root = parse(
            br#"<?xml version="1.0" encoding="UTF-8"?>
<!-- hello --><s3:ListBucketResult xmlns:s3='http://doc.s3.amazonaws.com/2006-03-01'>
  <s3:IsTruncated>false</s3:IsTruncated><Prefix/>
  <Contents><Key>a&amp;b &lt;&#x2b;&#43;&#x1;</Key><ETag>"x"</ETag></Contents>
  <Contents><Key><![CDATA[<raw>&amp;]]></Key></Contents>
</s3:ListBucketResult>
"#,
        )
        .unwrap();
        assert_eq!(root.name, "ListBucketResult");
        assert_eq!(root.text("IsTruncated"), Some("false"));
        assert_eq!(root.text("Prefix"), Some(""));
        let keys: Vec<_> = root
            .all("Contents")
            .filter_map(|each| each.text("Key"))
            .collect();
        assert_eq!(keys, ["a&b <++\u{1}", "<raw>&amp;"]);
    }

    #[test]
    fn what_is_cut_or_is_not_xml_is_nothing() {
        let whole = b"<a><b>c</b></a>";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None, "{end}");
        }
        for text in ["<a></b>", "hello", "<a>&nope;</a>", "<a>&</a>", "</a>"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        let deep = "<a>".repeat(10_000) + &"</a>".repeat(10_000);
        assert_eq!(parse(deep.as_bytes()), None);
    }

    #[test]
    fn what_is_escaped_is_read_back() {
        let text = "a<b>&\"c'\u{1} ü+";
        let document = format!("<a><b>{}</b></a>", escape(text));
        assert_eq!(parse(document.as_bytes()).unwrap().text("b"), Some(text));
    }
}
