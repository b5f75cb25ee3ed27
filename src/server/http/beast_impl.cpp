// The compiled half of Boost.Asio and Beast (separate compilation), so that the files beside it stay quick to build.
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
