// PictureProgress: the course of a prompt on a terminal: one line with a bar, rate and time left, and, where the
// terminal can show it, the picture as it emerges.
#pragma once
#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "formats/image/picture.h"
#include "workflow/execute/events.h"

namespace hearth::app {

/// How a terminal shows a picture.
enum class TerminalPictures { kNone, kBlocks, kSixel, kKitty, kIterm };
/// What this process's terminal can, by its environment; kNone when standard error is no terminal.
TerminalPictures terminal_pictures();
/// The text that draws `picture`, at most `columns` wide; "" for kNone. `rows` is how many lines it takes.
std::string draw_in_terminal(const image::Picture& picture, TerminalPictures how, int columns, int& rows);

class PictureProgress final : public workflow::JobEvents {
 public:
  PictureProgress(TerminalPictures how, bool is_quiet);

  void send(std::string_view type, const Value& data) override;
  void send_step(const workflow::Step& step) override;

  /// The finished picture in the place of the last preview.
  void show(const image::Picture& picture);

  /// What went wrong, or "".
  const std::string& error() const { return error_; }
  bool was_interrupted() const { return was_interrupted_; }
  double seconds_sampling() const { return seconds_sampling_; }

 private:
  void draw(const std::string& line, const workflow::PreviewImage* preview);
  void clear();

  using Clock = std::chrono::steady_clock;
  const TerminalPictures how_;
  const bool is_quiet_, is_terminal_;
  std::string node_;
  Clock::time_point node_started_;
  double seconds_sampling_ = 0;
  int rows_drawn_ = 0;
  std::string error_;
  bool was_interrupted_ = false;
};

}  // namespace hearth::app
