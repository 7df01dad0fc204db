"""Draws plots of lines as SVG. Each step along x doubles the value. y begins at 0."""

import collections
import html
import math

WIDTH, HEIGHT = 520, 340
LEFT, RIGHT, TOP, BOTTOM = 60, 130, 40, 50
COLOURS = "#1f6fb4", "#c8501e", "#3b8f3b", "#7d4fa8"

# A plot: its title, the meaning of x, and its lines. A line has a name, points, and whether it is dashed.
Plot = collections.namedtuple("Plot", "title x lines")


def steps(top):
    """Round numbers from 0 to above `top`."""
    step = 10 ** math.floor(math.log10(top))
    step = next(step * part for part in (0.2, 0.5, 1, 2) if top / (step * part) <= 6)
    return [step * number for number in range(math.ceil(top / step) + 1)]


def size(number):
    """A number of bytes as text."""
    units = ("MiB", 1 << 20), ("KiB", 1024)
    return next((f"{number // unit} {name}" for name, unit in units if number >= unit), str(number))


def draw(plot, left):
    """The elements of a plot that begins at `left`."""
    xs = sorted({x for _, points, _ in plot.lines for x, _ in points})
    marks = steps(max(y for _, points, _ in plot.lines for _, y in points))
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x, y):
        part = math.log2(x / xs[0]) / math.log2(xs[-1] / xs[0])
        return left + LEFT + width * part, TOP + height * (1 - y / marks[-1])

    def text(x, y, words, more=""):
        return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{html.escape(words)}</text>'

    middle = ' text-anchor="middle"'
    elements = [text(left + LEFT + width / 2, 22, plot.title, middle + ' font-weight="bold"')]
    elements.append(text(left + LEFT + width / 2, HEIGHT - 10, plot.x, middle))
    for mark in marks:
        x, y = at(xs[0], mark)
        elements.append(f'<path d="M{x:.1f} {y:.1f}h{width}" stroke="#ddd"/>')
        elements.append(text(x - 6, y + 4, f"{mark:,g}", ' text-anchor="end"'))
    for x in (1 << power for power in range(31)):
        if not xs[0] <= x <= xs[-1]:
            continue
        elements.append(text(at(x, 0)[0], HEIGHT - BOTTOM + 18, size(x), middle))
    last = -math.inf
    names = []
    for number, (name, points, dashed) in enumerate(plot.lines):
        colour = COLOURS[number % len(COLOURS)]
        path = "M" + "L".join("{:.1f} {:.1f}".format(*at(*point)) for point in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        elements.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        names.append((at(*points[-1])[1], name, colour))
    # The name of a line stands at its end. Names must not overlap.
    for y, name, colour in sorted(names):
        last = max(y, last + 15)
        elements.append(text(left + WIDTH - RIGHT + 8, last + 4, name, f' fill="{colour}"'))
    return elements


def write(path, *plots):
    """Writes the plots side by side."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(plots)} {HEIGHT}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        *(element for number, plot in enumerate(plots) for element in draw(plot, WIDTH * number)),
        "</svg>",
    ]
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
