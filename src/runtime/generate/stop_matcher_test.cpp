// StopMatcher: no part of a stop string ever gets out, nothing else is held for long.
#include "runtime/generate/stop_matcher.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(StopMatcher, HoldsBackAPossibleBeginning) {
  StopMatcher stops({"</end>"});
  EXPECT_EQ(stops.push("text <").text, "text ");
  EXPECT_EQ(stops.push("/en").text, "");
  EXPECT_EQ(stops.push("glish").text, "</english") << "it was no stop string after all";
  StopMatcher::Out out = stops.push(" bye</end>never");
  EXPECT_TRUE(out.is_stopped);
  EXPECT_EQ(out.text, " bye");
  EXPECT_EQ(stops.flush(), "");
}

TEST(StopMatcher, EarliestOfSeveralWinsHoweverTheTextIsCut) {
  const std::string text = "one two STOP three \n\nEND four";
  for (size_t cut = 1; cut < 6; ++cut) {
    StopMatcher stops({"END", "STOP", ""});
    std::string seen;
    bool is_stopped = false;
    for (size_t at = 0; at < text.size() && !is_stopped; at += cut) {
      StopMatcher::Out out = stops.push(text.substr(at, cut));
      seen += out.text;
      is_stopped = out.is_stopped;
    }
    EXPECT_TRUE(is_stopped);
    EXPECT_EQ(seen, "one two ") << "pieces of " << cut;
  }
}

TEST(StopMatcher, FlushGivesWhatWasHeld) {
  StopMatcher stops({"abc"});
  EXPECT_EQ(stops.push("xab").text, "x");
  EXPECT_EQ(stops.flush(), "ab");
}

}  // namespace
}  // namespace hearth
