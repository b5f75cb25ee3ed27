// Row 55: the address that clients know.
#include <algorithm>

#include "doctor/checks/all.h"
#include "doctor/checks/common.h"

namespace hearth::doctor {
namespace {

// The word behind another one: "default via 192.168.1.1 dev wlP9s9 proto dhcp".
std::string word_after(const std::string& line, const std::string& key) {
  const std::vector<std::string> words = words_of(line);
  const auto at = std::ranges::find(words, key);
  return at == words.end() || at + 1 == words.end() ? "" : *(at + 1);
}

Outcome address(const Context& context) {
  const std::optional<std::string> said = context.said({"ip", "route", "show", "default"});
  if (!said) return unknown("`ip route show default` did not answer");
  const std::string route = machine::first_line(*said), device = word_after(route, "dev");
  if (device.empty()) return ok("no default route: the machine has no network");
  const bool is_wireless = device.starts_with("wl");
  const bool is_leased = word_after(route, "proto") == "dhcp";
  if (!is_wireless && !is_leased) return ok().saw("ip route show default", trimmed(route));
  Outcome loose = note(is_wireless ? "the way to the network is Wi-Fi: pictures and models travel at a tenth of the "
                                     "speed of the 10 GbE socket"
                                   : "the address is leased: clients lose the server when it changes");
  loose.saw("ip route show default", trimmed(route));
  if (is_wireless) loose.advise("plug a cable in (enP7s7 on a Spark); DHCP or a fixed address are both fine there");
  loose.advise("reserve the address in the router, the way that needs no change here; or set a fixed one:");
  const std::string own = word_after(route, "src");
  const std::string connection = "\"$(nmcli -g GENERAL.CONNECTION device show " + device + ")\"";
  return loose.by_hand("sudo nmcli connection modify " + connection + " ipv4.method manual ipv4.addresses " +
                           (own.empty() ? "ADDRESS" : own) + "/24 ipv4.gateway " + word_after(route, "via"),
                       "over the network this cuts the connection when a word is wrong");
}

constexpr Check kChecks[] = {{55, "address", Topic::kNetwork, "Clients find the server where they left it",
                              "clients lose the server after a restart", address}};

}  // namespace

std::span<const Check> network_checks() { return kChecks; }

}  // namespace hearth::doctor
