// The server over Boost.Asio: one network thread that accepts and runs every Connection, and a few workers that run
// handlers.
#include "server/http/http_server.h"

#include <chrono>
#include <exception>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "core/base/log.h"
#include "server/http/connection.h"

namespace hearth::http {
namespace {

constexpr int kOverloadedConnections = 64;  // above the limit plus this, connections are dropped unheard

class BeastServer final : public HttpServer {
 public:
  BeastServer(ServerOptions options, std::vector<Route> routes, RequestObserver observer)
      : network_(std::make_shared<Network>(std::move(options), std::move(routes), std::move(observer))),
        acceptor_(network_->io), retry_(network_->io) {}
  ~BeastServer() override { stop(0); }

  Result<void> start() override;
  int port() const override { return port_; }
  int open_connections() const override { return network_->open; }
  void stop(double grace_s) override;

 private:
  Result<tcp::endpoint> endpoint();
  void accept();
  void on_accept(error_code failure, tcp::socket socket);
  void run_network();
  bool wait_closed(double for_s);

  std::shared_ptr<Network> network_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
  std::optional<asio::thread_pool> workers_, room_keeper_;
  std::thread thread_;
  int port_ = 0;
};

Result<tcp::endpoint> BeastServer::endpoint() {
  const ServerOptions& options = network_->options;
  error_code failure;
  auto address = asio::ip::make_address(options.host, failure);
  if (failure) {
    tcp::resolver resolver(network_->io);
    auto found = resolver.resolve(options.host, "", failure);
    if (failure || found.empty()) {
      return unexpected(Code::kIo, fmt::format("cannot listen on '{}': the name does not resolve to an address",
                                               options.host));
    }
    address = found.begin()->endpoint().address();
  }
  return tcp::endpoint(address, static_cast<uint16_t>(options.port));
}

Result<void> BeastServer::start() {
  auto where = endpoint();
  if (!where) return unexpected(where.error());
  error_code failure;
  acceptor_.open(where->protocol(), failure);
  if (!failure) acceptor_.set_option(tcp::acceptor::reuse_address(true), failure);
  if (!failure) acceptor_.bind(*where, failure);
  if (!failure) acceptor_.listen(asio::socket_base::max_listen_connections, failure);
  if (failure) {
    error_code ignored;
    acceptor_.close(ignored);
    bool is_taken = failure == asio::error::address_in_use;
    const char* cure = is_taken ? "; another program has this port: stop it or choose another port" : "";
    return unexpected(Code::kIo, fmt::format("cannot listen on {}:{}: {}{}", network_->options.host,
                                             network_->options.port, failure.message(), cure));
  }
  port_ = acceptor_.local_endpoint().port();
  network_->is_loopback = where->address().is_loopback();
  workers_.emplace(2);
  network_->workers = &*workers_;
  room_keeper_.emplace(1);
  network_->room_keeper = &*room_keeper_;
  work_.emplace(network_->io.get_executor());
  accept();
  thread_ = std::thread([this] { run_network(); });
  return {};
}

void BeastServer::run_network() {
  while (true) {
    try {
      network_->io.run();
      return;
    } catch (const std::exception& error) {
      log::error("network thread: error=\"{}\"", error.what());
    }
  }
}

void BeastServer::accept() {
  acceptor_.async_accept([this](error_code failure, tcp::socket socket) { on_accept(failure, std::move(socket)); });
}

void BeastServer::on_accept(error_code failure, tcp::socket socket) {
  if (network_->is_draining || !acceptor_.is_open()) return;
  if (failure) {
    // Out of descriptors, most likely: trying again at once would spin.
    log::warn("cannot accept a connection: {}", failure.message());
    retry_.expires_after(std::chrono::milliseconds(100));
    return retry_.async_wait([this](error_code cancelled) {
      if (!cancelled) accept();
    });
  }
  int open = network_->open;
  int limit = network_->options.max_connections;
  if (open < limit + kOverloadedConnections) {
    std::make_shared<Connection>(network_, std::move(socket), open >= limit)->start();
  }
  accept();
}

bool BeastServer::wait_closed(double for_s) {
  std::unique_lock lock(network_->mutex);
  return network_->all_closed.wait_for(lock, seconds(for_s), [&] { return network_->open == 0; });
}

void BeastServer::stop(double grace_s) {
  if (!thread_.joinable()) return;
  // A copy, because a connection that closes leaves the set.
  auto each = [this](auto work) {
    network_->post([this, work] {
      std::vector<std::shared_ptr<Connection>> all;
      for (Connection* connection : network_->connections) all.push_back(connection->shared_from_this());
      for (auto& connection : all) work(*connection);
    });
  };
  network_->post([this] {
    network_->is_draining = true;
    error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
  });
  auto each_session = [this](void (websocket::Session::*work)()) {
    network_->post([this, work] {
      const auto all = network_->sessions;
      for (const auto& [key, session] : all) ((*session).*work)();
    });
  };
  each([](Connection& connection) { connection.drain(); });
  each_session(&websocket::Session::go_away);
  if (!wait_closed(grace_s)) {
    each([](Connection& connection) { connection.abort(AbortReason::kStopping); });
    each_session(&websocket::Session::drop);
    if (!wait_closed(kAbortSeconds)) each([](Connection& connection) { connection.close(); });
  }
  network_->post([this] { work_.reset(); });
  thread_.join();
  workers_->join();
  room_keeper_->join();
  {
    std::lock_guard lock(network_->mutex);
    network_->takes_posts = false;
  }
  // What was posted meanwhile finds its connection closed.
  network_->io.restart();
  network_->io.poll();
}

}  // namespace

std::unique_ptr<HttpServer> make_http_server(ServerOptions options, std::vector<Route> routes,
                                             RequestObserver observer) {
  return std::make_unique<BeastServer>(std::move(options), std::move(routes), std::move(observer));
}

}  // namespace hearth::http
