//! Pictures: smooth lines, blocks and small text on white, written as PNG.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

pub type Colour = [u8; 3];
pub const WHITE: Colour = [255; 3];
pub const GREY: Colour = [215; 3];
pub const BLACK: Colour = [0; 3];
pub const BLUE: Colour = [31, 90, 180];
pub const GREEN: Colour = [20, 130, 60];
pub const ORANGE: Colour = [225, 130, 20];
pub const RED: Colour = [200, 40, 40];

/// The characters of the font; small letters are drawn as capitals.
const CHARACTERS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.,-+=/():";
/// Each character in 3 x 5 dots: an octal digit a row.
const DOTS: [u16; 45] = [
    0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71122, 0o75757, 0o75717, 0o25755, 0o65656,
    0o34443, 0o65556, 0o74647, 0o74644, 0o34553, 0o55755, 0o72227, 0o11152, 0o55655, 0o44447, 0o57755, 0o65555,
    0o25552, 0o65644, 0o25573, 0o65655, 0o34216, 0o72222, 0o55557, 0o55552, 0o55775, 0o55255, 0o55222, 0o71247,
    0o00002, 0o00024, 0o00700, 0o02720, 0o07070, 0o11244, 0o12221, 0o42224, 0o02020,
];
/// The size of a dot of the font, in pixels.
const DOT: usize = 2;
/// From one character to the next, and the height of one, in pixels.
pub const CHARACTER: (usize, usize) = (4 * DOT, 5 * DOT);

/// An image of 8-bit colours.
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<Colour>,
}

impl Picture {
    /// A white one.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![WHITE; width * height] }
    }

    /// A block, of which `x` and `y` are the upper left corner; what lies outside of the picture is left out.
    pub fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Colour) {
        for y in y..(y + height).min(self.height) {
            let end = (x + width).min(self.width);
            self.pixels[y * self.width..][x.min(end)..end].fill(colour);
        }
    }

    /// A line of text; characters that the font lacks are left blank.
    pub fn text(&mut self, x: usize, y: usize, text: &str, colour: Colour) {
        for (place, wanted) in text.chars().enumerate() {
            let Some(character) = CHARACTERS.find(wanted.to_ascii_uppercase()) else { continue };
            for dot in (0..15).filter(|dot| DOTS[character] >> (14 - dot) & 1 == 1) {
                let (row, column) = (dot / 3, dot % 3);
                self.fill(x + place * CHARACTER.0 + column * DOT, y + row * DOT, DOT, DOT, colour);
            }
        }
    }

    /// A filled circle.
    pub fn disc(&mut self, centre: (f64, f64), radius: f64, colour: Colour) {
        self.line(centre, centre, 2.0 * radius, colour);
    }

    /// A line with round ends: each pixel is covered by how far its centre lies inside.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), thickness: f64, colour: Colour) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let square = (dx * dx + dy * dy).max(1e-12);
        let range = |a: f64, b: f64, limit: usize| {
            let (low, high) = (a.min(b) - thickness, a.max(b) + thickness + 1.0);
            (low.max(0.0) as usize).min(limit)..(high.max(0.0) as usize).min(limit)
        };
        for y in range(from.1, to.1, self.height) {
            for x in range(from.0, to.0, self.width) {
                let (px, py) = (x as f64 + 0.5 - from.0, y as f64 + 0.5 - from.1);
                let t = ((px * dx + py * dy) / square).clamp(0.0, 1.0);
                let distance = (px - t * dx).hypot(py - t * dy);
                let cover = (thickness / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
                let pixel = &mut self.pixels[y * self.width + x];
                *pixel = mix(*pixel, colour, cover);
            }
        }
    }

    /// Writes a PNG file, and the directory that it is in.
    pub fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = BufWriter::new(File::create(path)?);
        let mut encoder = png::Encoder::new(file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        Ok(encoder.write_header()?.write_image_data(self.pixels.as_flattened())?)
    }
}

/// From one colour (`share` 0) to another (1).
fn mix(from: Colour, to: Colour, share: f64) -> Colour {
    std::array::from_fn(|k| (f64::from(from[k]) * (1.0 - share) + f64::from(to[k]) * share).round() as u8)
}

/// The colour of a share from 0 to 1 in maps: dark blue, green, yellow.
pub fn shade(share: f64) -> Colour {
    const STOPS: [Colour; 5] = [[35, 25, 90], [40, 90, 150], [40, 150, 130], [140, 200, 80], [250, 230, 60]];
    let place = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let stop = (place as usize).min(STOPS.len() - 2);
    mix(STOPS[stop], STOPS[stop + 1], place - stop as f64)
}
