// The server that listens on Options::port: who it is, where it is reached, and questions to it through curl.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "doctor/context.h"

namespace hearth::doctor {

struct Listener {
  bool is_loopback_only = false;
  std::string owner;  // the program's name; "" unknown
  std::string line;   // as ss says it
};

struct Listening {
  std::string where;                // what was read
  std::vector<Listener> listeners;  // empty also when only /proc/net/tcp could be read, which names nobody
  bool is_taken = false;
  bool is_local_only() const;
};

/// Nothing when neither `ss` nor /proc/net/tcp could be read.
std::optional<Listening> who_listens(const Context& context);

/// Where clients reach what listens: from the network, unless it listens on this machine only.
std::string base_url(const Context& context, const Listening& listening);

/// The first model that the server names; "" when it names none.
std::string served_model(const Context& context, const std::string& base);

/// The command that asks for so many tokens and prints the status of the answer; its last word is the address. A
/// model may have to be loaded for it.
Command question_for(const std::string& base, const std::string& model, int tokens);
inline constexpr std::chrono::seconds kAnswerLimit{65};

}  // namespace hearth::doctor
