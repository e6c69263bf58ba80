//! YAML as a tree with line numbers, anchors and merge keys resolved, and a limit to what a small file may grow into.

use saphyr_parser::{Event, Parser, ScanError, Span};
use std::collections::HashMap;

/// Aliases repeat what they stand for: a kilobyte can mean terabytes.
const MOST_NODES: usize = 200_000;
const DEEPEST: usize = 64;

/// A value, and where it begins.
#[derive(Clone, Debug)]
pub struct Node {
    /// From 1.
    pub line: usize,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Text(String),
    List(Vec<Node>),
    /// Key, the key's line, value.
    Map(Vec<(String, usize, Node)>),
}

impl Node {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().find(|(k, ..)| *k == key).map(|(_, _, v)| v)
    }

    /// The value at the end of a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |n, key| n.get(key))
    }

    /// The line of a key.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        self.entries().find(|(k, ..)| *k == key).map(|(_, line, _)| line)
    }

    /// A scalar as it was written.
    pub fn text(&self) -> Option<&str> {
        if let What::Text(t) = &self.what { Some(t) } else { None }
    }

    /// The text of a key's value.
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// A sequence's items; of anything else none.
    pub fn items(&self) -> impl Iterator<Item = &Node> {
        if let What::List(l) = &self.what { l.iter() } else { [].iter() }
    }

    /// A mapping's keys, their lines and values.
    pub fn entries(&self) -> impl Iterator<Item = (&str, usize, &Node)> {
        let entries = if let What::Map(m) = &self.what { m.as_slice() } else { &[] };
        entries.iter().map(|(k, line, v)| (k.as_str(), *line, v))
    }

    /// It is a mapping.
    pub fn is_map(&self) -> bool {
        matches!(self.what, What::Map(_))
    }

    /// It is a sequence.
    pub fn is_list(&self) -> bool {
        matches!(self.what, What::List(_))
    }
}

/// Every document of the text.
///
/// # Errors
/// What is wrong, with line and column.
pub fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0, last: 1 };
    let mut documents = Vec::new();
    while let Some(event) = reader.parser.next_event() {
        let (event, span) = event.map_err(|e| said(&e))?;
        if !matches!(
            event,
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing
        ) {
            documents.push(reader.node(event, span, 0)?);
        }
    }
    Ok(documents)
}

fn said(e: &ScanError) -> String {
    format!("line {}, column {}: {}", e.marker().line(), e.marker().col() + 1, e.info())
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    last: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        let (event, span) =
            self.parser.next_event().ok_or_else(|| format!("line {}: it ends too early", self.last))?.map_err(|e| said(&e))?;
        self.last = span.start.line();
        Ok((event, span))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, String> {
        let line = span.start.line();
        self.nodes += 1;
        if self.nodes > MOST_NODES || depth > DEEPEST {
            return Err(format!("line {line}: it is nested too deeply or its aliases stand for too much"));
        }
        let (what, anchor) = match event {
            Event::Scalar(text, _, anchor, _) => (What::Text(text.into_owned()), anchor),
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned().ok_or_else(|| format!("line {line}: an alias of nothing"))?;
                self.nodes += size(&node);
                return Ok(node);
            }
            Event::SequenceStart(anchor, _) => (What::List(self.list(depth)?), anchor),
            Event::MappingStart(anchor, _) => (What::Map(self.map(depth)?), anchor),
            _ => return Err(format!("line {line}: something is missing here")),
        };
        let node = Node { line, what };
        if anchor > 0 {
            self.nodes += size(&node);
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, String> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(list),
                (event, span) => list.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(String, usize, Node)>, String> {
        let mut map: Vec<(String, usize, Node)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let line = span.start.line();
            let key = self.node(event, span, depth + 1)?.text().unwrap_or_default().to_owned();
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            match key.as_str() {
                "<<" if value.is_list() => merged.extend(value.items().cloned()),
                "<<" => merged.push(value),
                _ => map.push((key, line, value)),
            }
        }
        // What the mapping says itself beats what is merged in.
        for from in &merged {
            for (key, line, value) in from.entries() {
                if !map.iter().any(|(k, ..)| k == key) {
                    map.push((key.to_owned(), line, value.clone()));
                }
            }
        }
        Ok(map)
    }
}

fn size(node: &Node) -> usize {
    match &node.what {
        What::Text(_) => 1,
        What::List(l) => 1 + l.iter().map(size).sum::<usize>(),
        What::Map(m) => 1 + m.iter().map(|(_, _, v)| 1 + size(v)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn lines_anchors_and_merges() {
        let text = "a: &x\n  one: 1\n  two: 2\nb:\n  <<: *x\n  two: 3\nc: [4, \"5\"]\n---\nd: e\n";
        let documents = parse(text).unwrap();
        assert_eq!(documents.len(), 2);
        let b = documents[0].get("b").unwrap();
        assert_eq!((b.text_of("one"), b.text_of("two")), (Some("1"), Some("3")));
        assert_eq!((documents[0].line_of("c"), documents[0].get("a").unwrap().line_of("two")), (Some(7), Some(3)));
        assert_eq!(documents[0].get("c").unwrap().items().filter_map(Node::text).collect::<Vec<_>>(), ["4", "5"]);
        assert_eq!(documents[1].line_of("d"), Some(9));
    }

    #[test]
    fn what_is_not_yaml_says_where() {
        assert!(parse("a: [1, 2\nb: 3\n").unwrap_err().starts_with("line "));
        assert!(parse("a:\n\t- b\n").unwrap_err().starts_with("line 2"));
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            text += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "));
        }
        assert!(parse(&text).unwrap_err().contains("aliases"));
        assert!(parse(&"[".repeat(10_000)).is_err());
    }
}
