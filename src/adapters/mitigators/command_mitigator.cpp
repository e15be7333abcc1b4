#include "adapters/mitigators/command_mitigator.h"

#include <boost/json/serialize.hpp>
#include <utility>

#include "adapters/mitigators/json_mitigator.h"
#include "adapters/mitigators/program.h"
#include "adapters/mitigators/rule_json.h"

namespace dots::adapters::mitigators {
namespace {

class CommandMitigator final : public JsonMitigator {
 public:
  explicit CommandMitigator(CommandOptions options)
      : JsonMitigator("command", options.name), options_(std::move(options)) {}

 private:
  base::Result<boost::json::object> ask(const boost::json::object& request) override {
    ProgramRun run;
    run.words = options_.command;
    run.input = boost::json::serialize(request) + "\n";
    run.timeout = options_.timeout;
    const auto output = run_program(run);
    if (!output) return output.error();
    const std::string& program = options_.command.front();
    if (output->find_first_not_of(" \t\r\n") == std::string::npos) return base::Error{program + " answered nothing"};
    auto answer = parse_object(*output);
    if (!answer) return base::Error{program + ": " + answer.error().message};
    return answer;
  }

  const CommandOptions options_;
};

}  // namespace

std::unique_ptr<ports::Mitigator> make_command_mitigator(CommandOptions options) {
  return std::make_unique<CommandMitigator>(std::move(options));
}

}  // namespace dots::adapters::mitigators
