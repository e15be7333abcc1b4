#include "adapters/mitigators/webhook_mitigator.h"

#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>

#include "adapters/mitigators/json_mitigator.h"
#include "adapters/mitigators/rule_json.h"
#include "adapters/net/digest.h"

namespace dots::adapters::mitigators {
namespace {

namespace json = boost::json;
using ports::MitigatorFault;

class WebhookMitigator final : public JsonMitigator {
 public:
  explicit WebhookMitigator(WebhookOptions options)
      : JsonMitigator("webhook", options.name), service_(std::move(options.service)) {}

 private:
  base::Result<json::object> ask(const json::object& request) override {
    return service_.post(json::serialize(request), {});
  }

  // A change whose fate is not known is repeated with the key that it had: a service that has carried it out answers
  // as it did. The same change at another time is another one.
  ports::Applied send(const std::vector<ports::RuleChange>& changes) override {
    json::object request = request_of(name(), "apply");
    request["changes"] = json_of(changes);
    const std::string body = json::serialize(request);
    if (!unknown_ || unknown_->body != body) {
      const auto key = net::random_bytes(16);
      if (!key) return MitigatorFault{key.error().message, {}};
      unknown_ = Sent{base::to_hex(*key), body};
    }
    const auto answer = service_.post(body, unknown_->key);
    if (!answer) return MitigatorFault{answer.error().message, {}};
    unknown_.reset();
    return read_fault(*answer, changes);
  }

  struct Sent {
    std::string key, body;
  };
  WebService service_;
  std::optional<Sent> unknown_;
};

}  // namespace

std::unique_ptr<ports::Mitigator> make_webhook_mitigator(WebhookOptions options) {
  return std::make_unique<WebhookMitigator>(std::move(options));
}

}  // namespace dots::adapters::mitigators
