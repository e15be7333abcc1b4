#include "adapters/mitigators/notify_mitigator.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <map>
#include <utility>

#include "adapters/mitigators/kept_file.h"
#include "adapters/mitigators/notice.h"
#include "adapters/mitigators/program.h"
#include "adapters/mitigators/rule_json.h"
#include "adapters/net/digest.h"

namespace dots::adapters::mitigators {
namespace {

namespace json = boost::json;
using ports::MitigatorFault;
using ports::RuleChange;
using Clock = std::chrono::steady_clock;

class NotifyMitigator final : public ports::Mitigator {
 public:
  explicit NotifyMitigator(NotifyOptions options)
      : options_(std::move(options)), file_(options_.state_dir, "notify-" + options_.name + ".json") {
    if (options_.service) service_.emplace(*options_.service);
  }

  ports::MitigatorAbilities abilities() const override {
    ports::MitigatorAbilities abilities;
    abilities.name = "notify";
    abilities.limits = true;
    abilities.explains = true;
    abilities.confirms = true;  // what waits for its notice is not in force
    return abilities;
  }

  base::Result<void> open() override {
    if (!loaded_) {
      if (auto read = load(); !read) return read;
      loaded_ = true;
    }
    open_ = true;
    return tell_when_due();
  }

  // Taken is what is remembered; it is told by the next look when it is not yet time.
  ports::Applied apply(const std::vector<RuleChange>& changes) override {
    if (!open_) return MitigatorFault{"it is not open"};
    if (auto checked = check_rules(changes); !checked) return checked;
    const auto before = rules_;
    const auto waiting = untold_;
    for (const RuleChange& change : changes) take(change);
    if (rules_ == before && untold_.size() == waiting.size()) return {};
    if (const auto saved = save(); !saved) {
      rules_ = before;
      untold_ = waiting;
      return MitigatorFault{saved.error().message};
    }
    return {};
  }

  base::Result<void> exempt(const std::vector<ports::SignalExemption>&) override { return {}; }

  base::Result<Listing> list() override {
    if (open_) {
      if (auto told = tell_when_due(); !told) return told.error();
    }
    Listing listing;
    for (const auto& one : rules_) {
      const model::Rule& rule = one.second;
      const bool waits = std::any_of(untold_.begin(), untold_.end(),
                                     [&](const NoticeItem& item) { return item.wanted && item.rule == rule; });
      listing.rules.push_back({rule, {}, waits ? "the notice about it is still to be sent" : ""});
    }
    return listing;
  }

  base::Result<void> clear() override {
    for (const auto& [match, rule] : std::map(rules_)) take({RuleChange::Kind::remove, rule, {}});
    last_.reset();
    const auto told = open_ ? tell_when_due() : base::Result<void>{};
    open_ = false;
    if (!told) return told;
    return save();
  }

 private:
  void take(const RuleChange& change) {
    const auto there = rules_.find(change.rule.match);
    if (change.kind == RuleChange::Kind::install && there != rules_.end() && there->second == change.rule) return;
    if (there != rules_.end()) {
      // What nobody has heard of needs no second notice.
      const auto unheard = std::find_if(untold_.begin(), untold_.end(), [&](const NoticeItem& item) {
        return item.wanted && item.rule == there->second;
      });
      if (unheard != untold_.end()) {
        untold_.erase(unheard);
      } else {
        untold_.push_back({false, there->second, owners_[change.rule.match]});
      }
      rules_.erase(there);
    }
    owners_.erase(change.rule.match);
    if (change.kind != RuleChange::Kind::install) return;
    rules_[change.rule.match] = change.rule;
    owners_[change.rule.match] = change.owners;
    untold_.push_back({true, change.rule, change.owners});
  }

  base::Result<void> tell_when_due() {
    if (untold_.empty()) return {};
    if (last_ && Clock::now() - *last_ < options_.notice_every) return {};
    const Notice notice = notice_of(options_.name, untold_);
    if (!options_.mail_to.empty() && !mailed_) {
      if (auto sent = mail(notice); !sent) return sent;
      mailed_ = true;  // a webhook that fails does not bring the mail again
    }
    if (service_) {
      if (auto sent = post(notice); !sent) return sent;
    }
    mailed_ = false;
    last_ = Clock::now();
    untold_.clear();
    return save();
  }

  base::Result<void> mail(const Notice& notice) const {
    ProgramRun run;
    run.words = options_.mail_command;
    run.input =
        mail_of(notice, options_.mail_from.empty() ? options_.mail_to.front() : options_.mail_from, options_.mail_to);
    run.timeout = options_.timeout;
    const auto ran = run_program(run);
    if (!ran) return base::Error{"the mail could not be handed over: " + ran.error().message};
    return {};
  }

  base::Result<void> post(const Notice& notice) {
    json::array wanted, over;
    for (const NoticeItem& item : untold_) {
      const auto kind = item.wanted ? RuleChange::Kind::install : RuleChange::Kind::remove;
      for (auto& row : json_of(std::vector<RuleChange>{{kind, item.rule, item.owners}})) {
        (item.wanted ? wanted : over).push_back(std::move(row));
      }
    }
    json::object request = request_of(options_.name, "notice");
    request["subject"] = notice.subject;
    request["text"] = notice.subject + "\n\n" + notice.body;
    request["wanted"] = std::move(wanted);
    request["over"] = std::move(over);
    // A notice that may have arrived is repeated as it was.
    const std::string body = json::serialize(request);
    if (key_.empty() || posted_ != body) {
      const auto key = net::random_bytes(16);
      if (!key) return key.error();
      key_ = base::to_hex(*key);
      posted_ = body;
    }
    auto told = service_->tell(body, key_);
    if (told) key_.clear();
    return told;
  }

  base::Result<void> save() const {
    json::array rules, untold;
    const auto row = [](const model::Rule& rule, const std::vector<ports::RuleNote>& owners) {
      json::object out = json_of(rule);
      json::array list;
      for (const auto& note : owners) {
        json::object one{{"domain", note.owner.domain.value},
                         {"cuid", note.owner.cuid.value},
                         {"mid", note.owner.mid.value},
                         {"why", note.reason}};
        if (note.until) one["until_ns"] = note.until->time_since_epoch().count();
        list.push_back(std::move(one));
      }
      out["owners"] = std::move(list);
      return out;
    };
    for (const auto& [match, rule] : rules_) {
      const auto owners = owners_.find(match);
      rules.push_back(row(rule, owners == owners_.end() ? std::vector<ports::RuleNote>{} : owners->second));
    }
    for (const NoticeItem& item : untold_) {
      json::object one = row(item.rule, item.owners);
      one["wanted"] = item.wanted;
      untold.push_back(std::move(one));
    }
    json::object content{{"version", 1}};
    content["rules"] = std::move(rules);
    content["untold"] = std::move(untold);
    return file_.write(content);
  }

  static std::vector<ports::RuleNote> owners_in(const json::object& row) {
    std::vector<ports::RuleNote> out;
    const json::value* list = row.if_contains("owners");
    if (list == nullptr || !list->is_array()) return out;
    for (const json::value& value : list->as_array()) {
      const json::object* one = value.if_object();
      if (one == nullptr) continue;
      const auto text = [&](const char* key) {
        const json::value* member = one->if_contains(key);
        if (member == nullptr || !member->is_string()) return std::string{};
        return std::string(member->as_string().data(), member->as_string().size());
      };
      const json::value* mid = one->if_contains("mid");
      const json::value* until = one->if_contains("until_ns");
      ports::RuleNote note{{base::DomainId{text("domain")}, base::Cuid{text("cuid")}, base::Mid{0}}, text("why"), {}};
      if (mid != nullptr && mid->is_int64()) note.owner.mid = base::Mid{static_cast<std::uint32_t>(mid->as_int64())};
      if (until != nullptr && until->is_int64()) note.until = base::WallTime{base::Duration{until->as_int64()}};
      out.push_back(std::move(note));
    }
    return out;
  }

  base::Result<void> load() {
    const auto content = file_.read();
    if (!content) return content.error();
    if (!*content) return {};
    for (const char* part : {"rules", "untold"}) {
      const json::value* list = (*content)->if_contains(part);
      if (list == nullptr || !list->is_array()) return file_.damaged(std::string("no list '") + part + "'");
      for (const json::value& value : list->as_array()) {
        if (!value.is_object()) return file_.damaged("a row is no object");
        const auto rule = read_rule(value.as_object());
        if (!rule) return file_.damaged(rule.error().message);
        const json::value* wanted = value.as_object().if_contains("wanted");
        if (wanted != nullptr) {
          untold_.push_back({*wanted == true, *rule, owners_in(value.as_object())});
        } else {
          rules_[rule->match] = *rule;
          owners_[rule->match] = owners_in(value.as_object());
        }
      }
    }
    return {};
  }

  const NotifyOptions options_;
  std::optional<WebService> service_;
  const KeptFile file_;
  bool loaded_ = false;
  bool open_ = false;
  bool mailed_ = false;       // the notice that is under way
  std::string key_, posted_;  // of the notice whose fate is not known
  std::map<model::RuleMatch, model::Rule> rules_;
  std::map<model::RuleMatch, std::vector<ports::RuleNote>> owners_;
  std::vector<NoticeItem> untold_;
  std::optional<Clock::time_point> last_;
};

}  // namespace

base::Result<void> check(const NotifyOptions& options) {
  if (!options.mail_to.empty() && ::access(options.mail_command.front().c_str(), X_OK) != 0)
    return base::Error{"there is no program " + options.mail_command.front() + " that could take mail"};
  if (options.service && !options.service->secret_file.empty()) {
    if (const auto secret = read_secret(options.service->secret_file); !secret) return secret.error();
  }
  return {};
}

std::unique_ptr<ports::Mitigator> make_notify_mitigator(NotifyOptions options) {
  return std::make_unique<NotifyMitigator>(std::move(options));
}

}  // namespace dots::adapters::mitigators
