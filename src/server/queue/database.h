// SQLite behind two small types. A connection and its statements are used by one thread at a time. Every failure is
// thrown as Error: kIo with SQLite's reason and the file, kCorruptFile when the file is none of ours.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace hearth::server {

class Database;

/// A prepared statement; bind parameters from 1, read columns from 0. Must not outlive its database.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  ~Statement();

  Statement& bind(int index, int64_t value);
  Statement& bind(int index, double value);
  Statement& bind(int index, std::string_view value);  // copied
  Statement& bind_null(int index);
  /// True: there is a row to read. False: it is done.
  bool step();
  /// Runs a statement that gives no rows; the number of rows it changed.
  int64_t run();
  Statement& reset();

  bool is_null(int column) const;
  int64_t integer(int column) const;
  double number(int column) const;
  std::string_view text(int column) const;  // until the next step() or reset()
  std::optional<int64_t> maybe_integer(int column) const;

 private:
  friend class Database;
  Statement(Database& database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  void expect_ok(int code) const;
  Database& database_;
  sqlite3_stmt* statement_;
};

class Database {
 public:
  enum class Mode { kWrite, kRead };
  Database(const std::filesystem::path& file, Mode mode);
  ~Database();
  Database(const Database&) = delete;

  Statement prepare(std::string_view sql);
  /// Statements without parameters or rows.
  void execute(const std::string& sql);

 private:
  friend class Statement;
  [[noreturn]] void fail(int code) const;
  std::filesystem::path file_;
  sqlite3* handle_ = nullptr;
};

/// BEGIN IMMEDIATE; rolled back unless commit() was called.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool is_open_ = true;
};

}  // namespace hearth::server
