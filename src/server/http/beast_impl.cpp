// The compiled half of Boost.Asio and Beast (separate compilation), so that http_server.cpp stays quick to build.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
