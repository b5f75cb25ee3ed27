#!/usr/bin/env python3
"""Draws loss curves of train.py's CSV files as one SVG: plot.py OUT.svg TITLE=FILE.csv:COLUMN[,COLUMN]..."""

import csv
import math
import sys
from pathlib import Path

WIDTH, HEIGHT, GAP = 360, 220, 44
COLOURS = ["#2266cc", "#cc5522", "#228844", "#884499"]


def curve(rows, column, box, low, high):
  """Points of one column: steps from left to right, the logarithm of the loss from bottom to top."""
  left, top = box
  last = float(rows[-1]["step"]) or 1
  points = []
  for row in rows:
    x = left + float(row["step"]) / last * WIDTH
    y = top + (math.log(high) - math.log(max(float(row[column]), low))) / (math.log(high) - math.log(low)) * HEIGHT
    points.append(f"{x:.1f},{y:.1f}")
  return " ".join(points)


def chart(title, path, columns, box):
  left, top = box
  with open(path, newline="") as file:
    rows = list(csv.DictReader(file))
  values = [float(row[column]) for row in rows for column in columns]
  low, high = min(values), max(values)
  out = [f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>',
         f'<text x="{left}" y="{top - 8}">{title}, {rows[-1]["step"]} steps</text>']
  for value in (low, high):
    y = top + (HEIGHT if value == low else 0)
    out.append(f'<text x="{left - 4}" y="{y + 4}" text-anchor="end">{value:.3g}</text>')
  for number, column in enumerate(columns):
    colour = COLOURS[number % len(COLOURS)]
    out.append(f'<polyline points="{curve(rows, column, box, low, high)}" fill="none" stroke="{colour}"/>')
    place = f'x="{left + WIDTH - 6}" y="{top + 16 + 15 * number}"'
    out.append(f'<text {place} text-anchor="end" fill="{colour}">{column}</text>')
  return out


def main(out, *charts):
  width = len(charts) * (WIDTH + 2 * GAP)
  lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT + 60}" font-family="sans-serif" '
           'font-size="11">', '<rect width="100%" height="100%" fill="#fff"/>']
  for number, told in enumerate(charts):
    title, _, rest = told.partition("=")
    path, _, columns = rest.rpartition(":")
    lines += chart(title, path, columns.split(","), (int(1.2 * GAP) + number * (WIDTH + 2 * GAP), 30))
  Path(out).write_text("\n".join([*lines, "</svg>"]) + "\n")


if __name__ == "__main__":
  main(*sys.argv[1:])
