//! Diagrams of curves and dots, with axes and a legend.

use super::picture::{BLACK, CHARACTER, Colour, GREY, Picture};

/// A rectangle of a picture, in pixels from its upper left corner.
#[derive(Clone, Copy)]
pub struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// What an axis shows.
pub struct Axis {
    name: &'static str,
    /// The ends; of a logarithmic axis, their decimal logarithms.
    low: f64,
    high: f64,
    is_logarithmic: bool,
}

impl Axis {
    pub fn linear(name: &'static str, low: f64, high: f64) -> Self {
        Self { name, low, high, is_logarithmic: false }
    }

    /// A logarithmic axis of the whole decades that contain `low` and `high`.
    pub fn logarithmic(name: &'static str, low: f64, high: f64) -> Self {
        let (low, high) = (low.log10().floor(), high.log10().ceil());
        Self { name, low, high: high.max(low + 1.0), is_logarithmic: true }
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end; what lies outside is moved there.
    fn share(&self, value: f64) -> f64 {
        let value = if self.is_logarithmic { value.log10() } else { value };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Up to eight round values, and their text.
    fn ticks(&self) -> Vec<(f64, String)> {
        let least = (self.high - self.low) / 8.0;
        let decade = 10f64.powf(least.log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0].map(|leading| leading * decade);
        let mut step = round.into_iter().find(|step| *step >= least * 0.999).unwrap_or(least);
        if self.is_logarithmic {
            step = step.max(1.0);
        }
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        let tick = |n: i64| match n as f64 * step {
            power if self.is_logarithmic => (10f64.powf(power), format!("1e{power}")),
            value => (value, format!("{value:.digits$}")),
        };
        (first..=last).map(tick).collect()
    }
}

/// A diagram that is being drawn into an area of a picture; axes and names lie outside of the area, 60 pixels at most.
pub struct Chart<'a> {
    picture: &'a mut Picture,
    area: Area,
    x: Axis,
    y: Axis,
    /// How many names the legend has.
    names: usize,
}

impl<'a> Chart<'a> {
    /// A diagram without curves.
    pub fn new(picture: &'a mut Picture, area: Area, x: Axis, y: Axis) -> Self {
        let mut chart = Self { picture, area, x, y, names: 0 };
        let (left, top) = (area.x, area.y);
        let (right, bottom) = (left + area.width, top + area.height);
        for (value, text) in chart.x.ticks() {
            let x = left + area.width * chart.x.share(value);
            chart.picture.line((x, top), (x, bottom), 1.0, GREY);
            chart.text((x, bottom + 12.0), &text, 0.5);
        }
        for (value, text) in chart.y.ticks() {
            let y = bottom - area.height * chart.y.share(value);
            chart.picture.line((left, y), (right, y), 1.0, GREY);
            chart.text((left - 8.0, y), &text, 1.0);
        }
        chart.text((right, bottom + 28.0), chart.x.name, 1.0);
        chart.text((left, top - 12.0), chart.y.name, 0.0);
        chart
    }

    /// Text at height `at.1`, of which the share `before` lies to the left of `at.0`.
    fn text(&mut self, at: (f64, f64), text: &str, before: f64) {
        let (width, height) = ((text.len() * CHARACTER.0) as f64, CHARACTER.1 as f64);
        self.picture.text((at.0 - before * width) as usize, (at.1 - height / 2.0) as usize, text, BLACK);
    }

    /// The pixel of a point.
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let Area { x: left, y: top, width, height } = self.area;
        (left + width * self.x.share(x), top + height * (1.0 - self.y.share(y)))
    }

    /// Lines from point to point.
    pub fn curve(&mut self, name: &str, colour: Colour, points: impl IntoIterator<Item = (f64, f64)>) {
        let places: Vec<_> = points.into_iter().map(|point| self.place(point)).collect();
        for pair in places.windows(2) {
            self.picture.line(pair[0], pair[1], 2.0, colour);
        }
        if let Some((x, y)) = self.legend(name) {
            self.picture.line((x - 8.0, y), (x + 8.0, y), 2.0, colour);
        }
    }

    /// A dot at each point.
    pub fn dots(&mut self, name: &str, colour: Colour, points: impl IntoIterator<Item = (f64, f64)>) {
        for point in points {
            self.picture.disc(self.place(point), 3.0, colour);
        }
        if let Some(place) = self.legend(name) {
            self.picture.disc(place, 3.0, colour);
        }
    }

    /// Writes the next name in the legend, unless it is empty; gives the place of its sign.
    fn legend(&mut self, name: &str) -> Option<(f64, f64)> {
        if name.is_empty() {
            return None;
        }
        self.names += 1;
        let (right, y) = (self.area.x + self.area.width, self.area.y + 16.0 * self.names as f64 - 4.0);
        self.text((right - 32.0, y), name, 1.0);
        Some((right - 16.0, y))
    }
}
