#include "picture_progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <vector>

#include <fmt/format.h>

#include "core/base/base64.h"
#include "core/base/units.h"

namespace hearth::app {
namespace {

constexpr int kColumns = 48;  // of a picture drawn with blocks

bool contains(const char* text, std::string_view part) {
  return text && std::string_view(text).find(part) != std::string_view::npos;
}

// The nearest pixel; previews are small and soft anyway.
const uint8_t* pixel(const image::Picture& picture, int x, int y, int width, int height) {
  return picture.row(y * picture.height / height) + x * picture.width / width * picture.channels;
}

// Two pixels a character: the upper one its colour, the lower one its background.
std::string draw_blocks(const image::Picture& picture, int columns, int& rows) {
  const int width = std::min(columns, picture.width);
  const int height = std::max(2, picture.height * width / picture.width / 2 * 2);
  rows = height / 2;
  std::string out;
  for (int y = 0; y < height; y += 2) {
    for (int x = 0; x < width; ++x) {
      const uint8_t* a = pixel(picture, x, y, width, height);
      const uint8_t* b = pixel(picture, x, y + 1, width, height);
      out += fmt::format("\x1b[38;2;{};{};{};48;2;{};{};{}m\xe2\x96\x80", a[0], a[1], a[2], b[0], b[1], b[2]);
    }
    out += "\x1b[0m\n";
  }
  return out;
}

// The picture `height` pixels high in the 216 colours every sixel terminal has room for, six rows a band, each colour
// of a band run by run.
std::string draw_sixel(const image::Picture& picture, int height) {
  constexpr int kLevels = 6, kColours = kLevels * kLevels * kLevels, kBand = 6;
  const int width = std::max(1, picture.width * height / picture.height);
  std::vector<int> colour(static_cast<size_t>(width * height));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const uint8_t* at = pixel(picture, x, y, width, height);
      // Every second pixel is rounded up, every other down: neighbours mix to the colours in between.
      const int nudge = (x + y) % 2 == 0 ? 13 : 38;
      int index = 0;
      for (int i = 0; i < 3; ++i) index = index * kLevels + std::min(kLevels - 1, (at[i] + nudge) / 51);
      colour[static_cast<size_t>(y * width + x)] = index;
    }
  }
  std::string out = fmt::format("\x1bP0;1q\"1;1;{};{}", width, height);
  for (int i = 0; i < kColours; ++i) {
    out += fmt::format("#{};2;{};{};{}", i, i / 36 * 20, i / 6 % 6 * 20, i % 6 * 20);
  }
  for (int top = 0; top < height; top += kBand) {
    const int bottom = std::min(height, top + kBand);
    std::vector<bool> is_used(kColours);
    for (int i = top * width; i < bottom * width; ++i) {
      is_used[static_cast<size_t>(colour[static_cast<size_t>(i)])] = true;
    }
    for (int c = 0; c < kColours; ++c) {
      if (!is_used[static_cast<size_t>(c)]) continue;
      out += fmt::format("#{}", c);
      int run = 0;
      char last = 0;
      auto flush = [&] {
        out += run > 3 ? fmt::format("!{}{}", run, last) : std::string(static_cast<size_t>(run), last);
      };
      for (int x = 0; x < width; ++x) {
        int bits = 0;
        for (int y = top; y < bottom; ++y) bits |= (colour[static_cast<size_t>(y * width + x)] == c) << (y - top);
        const char sign = static_cast<char>('?' + bits);
        if (sign != last) flush(), run = 0;
        last = sign;
        ++run;
      }
      flush();
      out += '$';
    }
    out += '-';
  }
  return out + "\x1b\\\n";
}

std::string draw_kitty(const std::string& png) {
  constexpr size_t kPiece = 4096;  // bytes of base64 the protocol takes at once
  const std::string text = to_base64(png);
  std::string out;
  for (size_t i = 0; i < text.size(); i += kPiece) {
    const bool is_last = i + kPiece >= text.size();
    out += fmt::format("\x1b_G{}m={};{}\x1b\\", i == 0 ? "a=T,f=100,r=16," : "", is_last ? 0 : 1,
                       text.substr(i, kPiece));
  }
  return out + "\n";
}

}  // namespace

TerminalPictures terminal_pictures() {
  if (!isatty(STDERR_FILENO)) return TerminalPictures::kNone;
  const char* term = std::getenv("TERM");
  const char* program = std::getenv("TERM_PROGRAM");
  if (std::getenv("KITTY_WINDOW_ID") || contains(term, "kitty") || contains(program, "ghostty")) {
    return TerminalPictures::kKitty;
  }
  if (contains(program, "iTerm") || contains(program, "WezTerm")) return TerminalPictures::kIterm;
  for (const char* sixel : {"foot", "mlterm", "contour", "yaft", "sixel"}) {
    if (contains(term, sixel) || contains(program, sixel)) return TerminalPictures::kSixel;
  }
  const char* colours = std::getenv("COLORTERM");
  return contains(colours, "truecolor") || contains(colours, "24bit") ? TerminalPictures::kBlocks
                                                                      : TerminalPictures::kNone;
}

std::string draw_in_terminal(const image::Picture& given, TerminalPictures how, int columns, int& rows) {
  rows = 0;
  if (how == TerminalPictures::kNone || given.width < 1 || given.height < 1) return "";
  const image::Picture picture = image::with_channels(given, 3);
  if (how == TerminalPictures::kBlocks) return draw_blocks(picture, columns, rows);
  rows = 16;
  // A row is at least this high: the picture may take less room than is set aside for it, never more.
  constexpr int kRowPixels = 12;
  if (how == TerminalPictures::kSixel) {
    const std::string text = draw_sixel(picture, rows * kRowPixels);
    std::string room(static_cast<size_t>(rows), '\n');
    return room + fmt::format("\x1b[{}A\x1b" "7", rows) + text + fmt::format("\x1b" "8\x1b[{}B\r", rows);
  }
  const std::string png = image::encode_png(picture);
  if (how == TerminalPictures::kKitty) return draw_kitty(png);
  return fmt::format("\x1b]1337;File=inline=1;height={};size={}:{}\a\n", rows, png.size(), to_base64(png));
}

PictureProgress::PictureProgress(TerminalPictures how, bool is_quiet)
    : how_(how), is_quiet_(is_quiet), is_terminal_(isatty(STDERR_FILENO)) {}

void PictureProgress::clear() {
  if (is_terminal_ && !is_quiet_) std::cerr << "\r\x1b[K" << std::flush;
}

void PictureProgress::send(std::string_view type, const Value& data) {
  if (type == "executing") {
    const Value* node = data.find("node");
    node_ = node && node->is_string() ? node->as_string() : "";
    node_started_ = Clock::now();
  } else if (type == "execution_error") {
    const Value* message = data.find("exception_message");
    error_ = message && message->is_string() ? message->as_string() : "the prompt failed";
    while (!error_.empty() && error_.back() == '\n') error_.pop_back();
  } else if (type == "execution_interrupted") {
    was_interrupted_ = true;
  }
  if (type == "execution_success" || type == "execution_error" || type == "execution_interrupted") clear();
}

void PictureProgress::send_step(const workflow::Step& step) {
  const int64_t done = step.progress.at("value").as_int(), total = step.progress.at("max").as_int();
  const double seconds = std::chrono::duration<double>(Clock::now() - node_started_).count();
  seconds_sampling_ = std::max(seconds_sampling_, seconds);
  if (is_quiet_ || !is_terminal_ || total < 1 || done < 1) return;
  constexpr int kWidth = 24;
  const int filled = static_cast<int>(kWidth * done / total);
  const double each = seconds / static_cast<double>(done);
  const std::string rate = each >= 1 ? fmt::format("{:.2f} s/step", each) : fmt::format("{:.1f} steps/s", 1 / each);
  const std::string left =
      done < total ? fmt::format(", {} left", format_duration(each * static_cast<double>(total - done))) : "";
  draw(fmt::format("[{}{}] {}/{}  {}{}", std::string(filled, '#'), std::string(kWidth - filled, '.'), done,
                   total, rate, left),
       step.preview);
}

void PictureProgress::show(const image::Picture& picture) {
  if (is_quiet_ || how_ == TerminalPictures::kNone) return;
  std::string text = "\r\x1b[K";
  if (rows_drawn_ > 0) text += fmt::format("\x1b[{}A", rows_drawn_);
  std::cerr << text + draw_in_terminal(picture, how_, kColumns, rows_drawn_) << std::flush;
}

void PictureProgress::draw(const std::string& line, const workflow::PreviewImage* preview) {
  std::string text = "\r\x1b[K";
  if (preview && how_ != TerminalPictures::kNone) {
    if (rows_drawn_ > 0) text += fmt::format("\x1b[{}A", rows_drawn_);
    text += draw_in_terminal(image::decode(preview->bytes).picture, how_, kColumns, rows_drawn_);
  }
  std::cerr << text << line << std::flush;
}

}  // namespace hearth::app
