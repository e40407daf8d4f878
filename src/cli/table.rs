//! Columns for people: a head in capitals, three blanks between. It never cuts a cell.
use super::page::{Done, Page};

/// Rows under a head.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Table { rows: vec![head.iter().map(ToString::to_string).collect()] }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Writes it with columns as wide as their widest cell.
    pub fn print(&self, page: &mut Page) -> Done<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells = |column: usize| self.rows.iter().filter_map(move |row: &Vec<String>| row.get(column));
        let width =
            |column: usize| cells(column).map(|cell: &String| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            page.line(cells.collect::<Vec<_>>().join("   ").trim_end())?;
        }
        Ok(())
    }
}
