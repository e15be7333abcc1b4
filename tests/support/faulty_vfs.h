// A disk that fails on command: a SQLite VFS that passes everything on to the system's and remembers what is durable.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace dots::tests {

// One for the process, registered at its first use under kName. Threads: any.
class FaultyVfs {
 public:
  static constexpr const char* kName = "dots-faulty";
  static FaultyVfs& instance();

  // Forgets all faults and all files.
  void reset();

  // The next `count` writes to the write-ahead log answer this SQLite code.
  void fail_log_writes(int code, int count = 1);
  // The next `count` fsyncs of the log fail. `reached` says whether the bytes got to the disk all the same.
  void fail_log_syncs(int count, bool reached);
  // The next `count` fsyncs of the database file fail.
  void fail_database_syncs(int count);
  // From the next failing fsync of the log on nothing can be written until the database is opened again: the log stays
  // as it is, and is found so.
  void freeze_after_log_sync_failure();
  // Nothing works, opening neither.
  void set_dead(bool dead);
  // What was not made durable is lost. Call with the store gone (set_dead before that, so that its end writes nothing).
  void power_cut();

  // How many of fail_database_syncs() are still to come.
  int database_syncs_to_fail() const;
  // How often the log was made durable.
  int log_syncs() const;

  // For the VFS methods.
  struct State {
    mutable std::mutex mutex;
    int log_write_code = 0;
    int log_write_failures = 0;
    int log_sync_failures = 0;
    bool log_sync_reached = false;
    int database_sync_failures = 0;
    bool freeze = false;
    bool frozen = false;
    bool dead = false;
    int log_syncs = 0;
    std::map<std::string, std::optional<std::string>> durable;  // path -> content, nothing when not there
  };

 private:
  FaultyVfs();
};

}  // namespace dots::tests
