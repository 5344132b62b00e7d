//! The terminal itself: raw keys in, lines out. Whatever happens, it is left as it was found.

use std::io::{self, Write};

use anyhow::Result;
use crossterm::{
    cursor, event, execute, queue,
    style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor},
    terminal,
};
use tokio::sync::mpsc;

use super::screen::{Line, Style};

/// A terminal in raw mode on its second screen; restored when it is dropped.
pub(crate) struct Terminal {
    out: io::Stdout,
}

impl Terminal {
    pub(crate) fn open() -> Result<Self> {
        terminal::enable_raw_mode()?;
        // From here on dropping it restores what was changed.
        let mut this = Self { out: io::stdout() };
        execute!(this.out, terminal::EnterAlternateScreen, event::EnableBracketedPaste)?;
        Ok(this)
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        terminal::size().map_or((80, 24), |(columns, rows)| (columns.into(), rows.into()))
    }

    /// Shows lines from the top, the cursor in the last one.
    pub(crate) fn show(&mut self, lines: &[Line], cursor_column: usize) -> Result<()> {
        queue!(self.out, cursor::Hide, terminal::BeginSynchronizedUpdate)?;
        for (row, line) in lines.iter().enumerate() {
            queue!(self.out, cursor::MoveTo(0, clamp(row)))?;
            for (style, text) in line {
                match style {
                    Style::Plain => {}
                    Style::Dim => queue!(self.out, SetAttribute(Attribute::Dim))?,
                    Style::Bold => queue!(self.out, SetAttribute(Attribute::Bold))?,
                    Style::Own => queue!(self.out, SetForegroundColor(Color::Cyan))?,
                    Style::Badge => queue!(self.out, SetForegroundColor(Color::Yellow))?,
                    Style::Warn => queue!(self.out, SetForegroundColor(Color::Red))?,
                }
                queue!(self.out, Print(text), SetAttribute(Attribute::Reset), ResetColor)?;
            }
            queue!(self.out, terminal::Clear(terminal::ClearType::UntilNewLine))?;
        }
        let row = clamp(lines.len().saturating_sub(1));
        queue!(
            self.out,
            cursor::MoveTo(clamp(cursor_column), row),
            cursor::Show,
            terminal::EndSynchronizedUpdate
        )?;
        self.out.flush()?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If this fails, the terminal is gone.
        let _ = execute!(
            self.out,
            event::DisableBracketedPaste,
            terminal::LeaveAlternateScreen,
            cursor::Show
        );
        let _ = terminal::disable_raw_mode();
    }
}

fn clamp(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Keys as they are pressed. The thread that waits for them ends with the process.
pub(crate) fn keys() -> mpsc::Receiver<event::Event> {
    let (sender, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Lines of standard input; the channel ends with it.
pub(crate) fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        for line in io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
