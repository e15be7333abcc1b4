#include <boost/json.hpp>
#include <chrono>
#include <ostream>

#include "data/reference.h"
#include "dotsctl/commands.h"
#include "dotsctl/exit_code.h"
#include "dotsctl/text.h"
#include "ops/config_schema.h"

namespace dots::dotsctl {

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}
std::string render_time() { return time_words(unix_now()); }

int fail(const Options& options, Streams streams, int code, const std::string& error, const std::string& next_step) {
  if (options.json) {
    streams.err << boost::json::serialize(boost::json::object{{"error", error}, {"next_step", next_step}}) << "\n";
    return code;
  }
  streams.err << "error: " << printable(error) << "\n";
  if (!next_step.empty()) streams.err << "next:  " << printable(next_step) << "\n";
  return code;
}

int run(const std::string& command, const CLI::App& app, const Options& options, Streams streams) {
  if (command == "decode") return run_decode(options, streams);
  if (command == "check-config") return run_check_config(options, streams);
  if (command == "init") return run_init(options, streams);
  if (command.starts_with("emergency ")) return run_emergency(command, options, streams);
  if (command == "config-reference") return streams.out << ops::config_reference(), kOk;
  if (command == "data-reference") return streams.out << data::tree_reference(), kOk;
  if (command == "messages") return streams.out << messages_reference(), kOk;
  if (command == "completion bash") return streams.out << bash_completion(app), kOk;
  if (is_data_command(command)) return run_data(command, options, streams);
  return run_remote(command, options, streams);
}

}  // namespace dots::dotsctl
