//! What a terminal shows, as lines of styled text: chats with badges, messages with marks, the line being typed.
//! Pure: the same picture and size give the same lines.

use super::text::{cut, width, wrap};

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    Plain,
    /// Less important.
    Dim,
    /// Names.
    Bold,
    /// One's own name.
    Own,
    /// Something to look at.
    Badge,
    /// Something wrong.
    Warn,
}

/// A line of pieces.
pub(crate) type Line = Vec<(Style, String)>;

/// How far one's own message is; others' have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Somebody else's.
    None,
    /// On its way.
    Sending,
    /// Durable.
    Sent,
    /// Reached somebody's device.
    Delivered,
    /// Read by somebody.
    Read,
    /// Refused for good.
    Failed,
}

/// A message as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// Its number; none before it is durable.
    pub(crate) seq: Option<u64>,
    /// `12:30`.
    pub(crate) time: String,
    pub(crate) sender: String,
    pub(crate) own: bool,
    pub(crate) text: String,
    pub(crate) mark: Mark,
    /// Behind the text: edited, reactions, why it failed.
    pub(crate) remark: String,
    /// What it answers.
    pub(crate) quote: Option<String>,
}

/// A chat of the list.
#[derive(Debug, Clone)]
pub(crate) struct Chat {
    pub(crate) name: String,
    pub(crate) unread: u64,
    pub(crate) open: bool,
}

/// Everything that is shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    /// Who one is.
    pub(crate) me: String,
    /// Whether events flow.
    pub(crate) connected: bool,
    pub(crate) chats: Vec<Chat>,
    /// Title of the open conversation.
    pub(crate) title: String,
    pub(crate) has_older: bool,
    pub(crate) messages: Vec<Shown>,
    /// Answers to commands, newest last.
    pub(crate) notes: Vec<String>,
    pub(crate) typed: String,
    pub(crate) left_of_cursor: String,
}

const PROMPT: &str = "> ";
/// Lines of notes shown at once.
const NOTES_MAX: usize = 18;

/// The lines of a screen of this size, exactly as many as it has, and the column of the cursor in the last one.
pub(crate) fn draw(picture: &Picture, columns: usize, rows: usize) -> (Vec<Line>, usize) {
    let columns = columns.max(20);
    let rows = rows.max(6);
    let mut lines = vec![chats(picture, columns), title(picture, columns)];
    let notes = picture.notes.len().min(NOTES_MAX).min(rows / 2);
    let room = rows - 3 - notes;
    lines.extend(messages(picture, columns, room));
    for note in &picture.notes[picture.notes.len() - notes..] {
        lines.push(vec![(Style::Dim, cut(note, columns))]);
    }
    let (prompt, cursor) = prompt(picture, columns);
    lines.push(prompt);
    lines.iter_mut().for_each(|line| fit(line, columns));
    (lines, cursor)
}

/// Cuts what a narrow screen has no room for.
fn fit(line: &mut Line, columns: usize) {
    let mut left = columns;
    for (_, text) in line {
        if width(text) > left {
            *text = if left == 0 { String::new() } else { cut(text, left) };
        }
        left -= width(text);
    }
}

fn chats(picture: &Picture, columns: usize) -> Line {
    let mut line = Vec::new();
    let mut used = 0;
    for (at, chat) in picture.chats.iter().enumerate() {
        let name = format!("{}.{}", at + 1, cut(&chat.name, 16));
        let badge = if chat.unread > 0 { format!("({})", chat.unread) } else { String::new() };
        used += width(&name) + width(&badge) + 2;
        if used > columns {
            break;
        }
        line.push((if chat.open { Style::Bold } else { Style::Plain }, name));
        line.push((Style::Badge, badge));
        line.push((Style::Plain, "  ".to_owned()));
    }
    line
}

fn title(picture: &Picture, columns: usize) -> Line {
    let state = if picture.connected { "connected" } else { "disconnected, coming back …" };
    let right = format!(" {} · {state} ", picture.me);
    let left = format!("── {} ", cut(&picture.title, columns / 2));
    let fill = columns.saturating_sub(width(&left) + width(&right));
    let style = if picture.connected { Style::Dim } else { Style::Warn };
    vec![(Style::Dim, left), (Style::Dim, "─".repeat(fill)), (style, right)]
}

/// The newest messages that fit into some rows, with empty rows above them when there are few.
fn messages(picture: &Picture, columns: usize, room: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for message in picture.messages.iter().rev() {
        if lines.len() >= room {
            break;
        }
        let mut own = message_lines(message, columns);
        own.reverse();
        lines.extend(own);
    }
    if lines.len() < room && picture.has_older {
        lines.push(vec![(Style::Dim, "↑ /older".to_owned())]);
    }
    lines.resize(room, Line::new());
    lines.reverse();
    lines
}

fn message_lines(message: &Shown, columns: usize) -> Vec<Line> {
    let number = message.seq.map_or_else(|| "    ".to_owned(), |seq| format!("{seq:>4}"));
    let head = format!("{number} {} ", message.time);
    let name = format!("{} ", cut(&message.sender, 16));
    let (mark, mark_style) = match message.mark {
        Mark::None => ("", Style::Plain),
        Mark::Sending => (" …", Style::Dim),
        Mark::Sent => (" ✓", Style::Dim),
        Mark::Delivered => (" ✓✓", Style::Dim),
        Mark::Read => (" ✓✓", Style::Own),
        Mark::Failed => (" ✗", Style::Warn),
    };
    let indent = width(&head) + width(&name);
    let mut lines = Vec::new();
    if let Some(quote) = &message.quote {
        let quote = cut(quote, columns.saturating_sub(indent + 2));
        lines.push(vec![(Style::Dim, format!("{}│ {quote}", " ".repeat(indent)))]);
    }
    let tail = width(mark) + if message.remark.is_empty() { 0 } else { width(&message.remark) + 1 };
    let text = wrap(&message.text, columns.saturating_sub(indent));
    let last = text.len() - 1;
    for (at, text) in text.into_iter().enumerate() {
        let mut line = if at == 0 {
            let style = if message.own { Style::Own } else { Style::Bold };
            vec![(Style::Dim, head.clone()), (style, name.clone())]
        } else {
            vec![(Style::Plain, " ".repeat(indent))]
        };
        let used = indent + width(&text);
        line.push((Style::Plain, text));
        if at == last {
            if used + tail > columns {
                lines.push(line);
                line = vec![(Style::Plain, " ".repeat(indent))];
            }
            if !message.remark.is_empty() {
                let room = columns.saturating_sub(indent + width(mark) + 1);
                line.push((Style::Dim, format!(" {}", cut(&message.remark, room))));
            }
            line.push((mark_style, mark.to_owned()));
        }
        lines.push(line);
    }
    lines
}

/// The end of what is typed, so that the cursor is always seen.
fn prompt(picture: &Picture, columns: usize) -> (Line, usize) {
    let room = columns - width(PROMPT) - 1;
    let before = width(&picture.left_of_cursor);
    let skip = before.saturating_sub(room);
    let mut hidden = 0;
    let shown: String = picture
        .typed
        .chars()
        .skip_while(|c| {
            let hide = hidden < skip;
            hidden += width(c.encode_utf8(&mut [0; 4]));
            hide
        })
        .collect();
    let mut line = vec![(Style::Bold, PROMPT.to_owned())];
    let mut visible = String::new();
    for c in shown.chars() {
        if width(&visible) + width(c.encode_utf8(&mut [0; 4])) > room {
            break;
        }
        visible.push(c);
    }
    line.push((Style::Plain, visible));
    (line, width(PROMPT) + before - skip)
}
