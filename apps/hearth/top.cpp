// hearth top: what the running server holds, what the machine has left and what happened lately, again and again.
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <thread>

#include <fmt/format.h>

#include "commands.h"
#include "core/base/units.h"
#include "formats/json/json.h"
#include "host.h"
#include "server_client.h"

namespace hearth::app {
namespace {

std::string bytes_at(const Value& object, std::string_view name) { return format_bytes(object.at(name).as_int()); }

std::string row(const std::string& name, const std::string& value, std::string_view more = "") {
  return fmt::format("  {:<44} {:>12}{}{}\n", name, value, more.empty() ? "" : "  ", more);
}

std::string pool_text(const Value& pool) {
  const Value* others = pool.find("others_bytes");
  const std::string held = others && others->as_int() > 0 ? "; others hold " + format_bytes(others->as_int()) : "";
  std::string out = fmt::format(
      "\npool {}: {} of {} leased, at most {} so far; reserve {}{}; {} evictions, {} refusals\n",
      pool.at("name").as_string(), bytes_at(pool, "leased_bytes"), bytes_at(pool, "budget_bytes"),
      bytes_at(pool, "peak_leased_bytes"), bytes_at(pool, "reserve_bytes"), held, pool.at("evictions").as_int(),
      pool.at("refusals").as_int());
  for (const Value& lease : pool.at("leases").as_list()) {
    out += row(lease.at("holder").as_string(), bytes_at(lease, "bytes"));
  }
  return out;
}

std::string residents_text(const Value& residents) {
  if (residents.size() == 0) return "";
  std::string out = "\nin memory\n";
  for (const Value& resident : residents.as_list()) {
    const bool is_busy = resident.at("busy").as_bool();
    std::string state = is_busy ? "busy" : fmt::format("idle {:.0f} s", resident.at("idle_s").as_double());
    if (resident.at("pinned").as_bool()) state += ", pinned";
    const int64_t spare = resident.at("unused_bytes").as_int() + resident.at("cached_bytes").as_int();
    if (spare > 0) state += ", " + format_bytes(spare) + " to spare";
    out += row(resident.at("name").as_string(), bytes_at(resident, "bytes"), state);
  }
  return out;
}

std::string neighbours_text(const Value& neighbours) {
  if (neighbours.size() == 0) return "";
  std::string out = "\nreserved for other programs\n";
  for (const Value& one : neighbours.as_list()) {
    std::string used = "uses " + bytes_at(one, "used_bytes");
    if (const Value* pool = one.find("pool")) used = "in " + pool->as_string() + ", " + used;
    if (one.at("beyond_reservation").as_bool()) used += ", more than it reserved";
    out += row(one.at("name").as_string(), bytes_at(one, "reserved_bytes"), used);
  }
  return out;
}

std::string events_text(const Value& report) {
  std::string out;
  auto add = [&](const Value& events) {
    const Value::List& list = events.as_list();
    constexpr size_t kShown = 5;
    for (size_t i = list.size() - std::min(list.size(), kShown); i < list.size(); ++i) {
      out += fmt::format("  {:<8} {}: {}\n", list[i].at("kind").as_string(), list[i].at("who").as_string(),
                         list[i].at("why").as_string());
    }
  };
  for (const Value& pool : report.at("pools").as_list()) add(pool.at("events"));
  add(report.at("events"));
  return out.empty() ? "" : "\nlately\n" + out;
}

std::string text_of(const std::string& server, const Value& report) {
  const Value& gauges = report.at("gauges");
  const Value& floors = report.at("floors");
  const Value& process = report.at("process");
  const Value& stall = gauges.at("stall_percent");
  const std::string stalled = stall.is_null() ? "" : fmt::format("; stalled {:.1f} % of the time", stall.as_double());
  std::string out = fmt::format("hearth at {}: {}\n", server, report.at("level").as_string());
  out += fmt::format("machine: {} available, floors {}, {} and {}{}\n",
                     bytes_at(gauges, "available_bytes"), bytes_at(floors, "soft_bytes"),
                     bytes_at(floors, "hard_bytes"), bytes_at(floors, "panic_bytes"),
                     stalled);
  out += fmt::format("process: {} anonymous, {} of it leased, {} not\n", bytes_at(process, "anonymous_bytes"),
                     bytes_at(process, "leased_bytes"), bytes_at(process, "unleased_bytes"));
  for (const Value& pool : report.at("pools").as_list()) out += pool_text(pool);
  return out + residents_text(report.at("resident")) + neighbours_text(report.at("neighbours")) + events_text(report);
}

struct TopOptions {
  bool is_once = false, as_json = false;
  double interval_s = 1;
  std::optional<int> port;
};

int top(const Common& common, const TopOptions& options) {
  Flags flags;
  if (options.port) flags.emplace_back("server.port", std::to_string(*options.port));
  const ServerClient client(read_config(common.config_file, flags).server);
  for (;;) {
    if (options.as_json) return std::cout << json::write(client.ask("GET", "/memory").value()) << '\n', 0;
    const std::string text = text_of(client.name(), client.ask("GET", "/memory").value());
    if (options.is_once) return std::cout << text, 0;
    std::cout << "\033[H\033[J" << text << std::flush;
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_s));
  }
}

}  // namespace

Action add_top(CLI::App& app, Common& common) {
  auto options = std::make_shared<TopOptions>();
  app.add_flag("--once", options->is_once, "Print once instead of refreshing");
  app.add_flag("--json", options->as_json, "Print once, as the server says it");
  app.add_option("--interval", options->interval_s, "Seconds between looks")->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  app.add_option("--port", options->port, "Port of the server (default: server.port, 8188)");
  return [options, &common] { return top(common, *options); };
}

}  // namespace hearth::app
