#include "data/client/plan.h"

#include <algorithm>
#include <map>

#include "data/reading.h"

namespace dots::data::client {
namespace {

using What = PlanStep::What;
using Key = std::pair<Kind, std::string>;

// Every leaf as "path: value", relative to the entry.
void flatten(const Instance& of, const std::string& path, std::vector<std::string>& out) {
  for (const Instance& child : of.children) {
    std::string at = path_of(path, child);
    if (child.node->is_leaf()) {
      at = path + "/" + std::string(child.node->name);
      out.push_back(at.substr(1) + ": " + child.value);
    } else {
      flatten(child, at, out);
    }
  }
}

std::vector<std::string> lines_of(const Instance* entry) {
  std::vector<std::string> lines;
  if (entry == nullptr) return lines;
  flatten(normalised(*entry), "", lines);
  std::erase_if(lines, [](const std::string& line) { return line.starts_with("name: "); });
  return lines;
}

// What is in `a` more often than in `b`.
std::vector<std::string> only_in(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::map<std::string, std::size_t> there;
  for (const std::string& line : b) ++there[line];
  std::vector<std::string> out;
  for (const std::string& line : a) {
    if (const auto it = there.find(line); it != there.end() && it->second > 0) {
      --it->second;
    } else {
      out.push_back(line);
    }
  }
  return out;
}

// The filters at the server while the plan is carried out.
class Order {
 public:
  explicit Order(const std::vector<Entry>& present) {
    for (const Entry& entry : present) {
      if (entry.kind == Kind::acl) names_.push_back(name_of(entry.config));
    }
  }
  // Where the filter must go to stand behind `before` and in front of `next`; unsaid when it stands there already.
  Placement place(const std::string& name, const std::string& before, const std::vector<std::string>& next) {
    const auto at = std::find(names_.begin(), names_.end(), name);
    const bool there = at != names_.end();
    if (!before.empty()) {
      const auto neighbour = std::find(names_.begin(), names_.end(), before);
      if (there && neighbour < at) return {};
      if (!there && neighbour + 1 == names_.end()) {
        names_.push_back(name);
        return {};  // new entries go to the end
      }
      move(name, before, 1);
      return {Placement::Where::after, {before}};
    }
    const auto follower = std::find_if(names_.begin(), names_.end(), [&](const std::string& other) {
      return other != name && std::find(next.begin(), next.end(), other) != next.end();
    });
    if (follower == names_.end() || (there && at < follower)) {
      if (!there) names_.push_back(name);
      return {};
    }
    const std::string point = *follower;
    move(name, point, 0);
    return {Placement::Where::before, {point}};
  }

 private:
  void move(const std::string& name, const std::string& point, std::ptrdiff_t behind) {
    std::erase(names_, name);
    names_.insert(std::find(names_.begin(), names_.end(), point) + behind, name);
  }
  std::vector<std::string> names_;
};

}  // namespace

Plan make_plan(const PlanInput& input) {
  Plan plan;
  std::map<Key, const Entry*> present;
  for (const Entry& entry : input.present) present[{entry.kind, name_of(entry.config)}] = &entry;
  Order order(input.present);
  std::vector<std::string> filters;
  for (const Entry& entry : input.wanted) {
    if (entry.kind == Kind::acl) filters.push_back(name_of(entry.config));
  }
  std::set<Key> wanted;
  std::string before;
  for (const Kind kind : {Kind::alias, Kind::acl}) {
    for (const Entry& entry : input.wanted) {
      if (entry.kind != kind) continue;
      PlanStep step{What::keep, kind, name_of(entry.config), entry, {}};
      wanted.insert({kind, step.name});
      if (kind == Kind::acl) {
        const auto next = std::find(filters.begin(), filters.end(), step.name) + 1;
        step.placement = order.place(step.name, before, {next, filters.end()});
        before = step.name;
      }
      const auto there = present.find({kind, step.name});
      if (there == present.end()) {
        step.what = What::create;
      } else if (canonical(there->second->config) != canonical(entry.config)) {
        step.what = What::replace;
      } else if (step.placement.where != Placement::Where::unsaid) {
        step.what = What::move;
      } else if (input.kept.contains({kind, step.name})) {
        ++plan.unchanged;
        continue;
      }
      plan.steps.push_back(std::move(step));
    }
  }
  for (const Entry& entry : input.present) {
    const Key key{entry.kind, name_of(entry.config)};
    if (wanted.contains(key)) continue;
    if (input.prune.contains(entry.kind)) {
      plan.steps.push_back({What::erase, key.first, key.second, std::nullopt, {}});
    } else {
      plan.others.push_back(key);
    }
  }
  return plan;
}

std::string difference(const PlanStep& step, const Instance* before) {
  const std::string title = std::string(word_of(step.kind)) + " '" + step.name + "'";
  std::string place;
  if (!step.placement.point.empty()) {
    place = std::string(step.placement.where == Placement::Where::after ? ", behind '" : ", in front of '") +
            step.placement.point.front() + "'";
  }
  const std::vector<std::string> old = lines_of(before);
  const std::vector<std::string> wanted = lines_of(step.wanted ? &step.wanted->config : nullptr);
  std::string out;
  const auto leaves = [&](const char* sign, const std::vector<std::string>& lines) {
    for (const std::string& line : lines) out += std::string("    ") + sign + " " + line + "\n";
  };
  switch (step.what) {
    case What::create:
      out = "+ " + title + place + "\n";
      leaves("+", wanted);
      break;
    case What::erase:
      out = "- " + title + "\n";
      leaves("-", old);
      break;
    case What::move:
      out = "~ " + title + " moves" + place + "\n";
      break;
    case What::keep:
      out = "= " + title + ", as it is; kept by this client from now on\n";
      break;
    case What::replace: {
      out = "~ " + title + place + "\n";
      const auto gone = only_in(old, wanted), fresh = only_in(wanted, old);
      leaves("-", gone);
      leaves("+", fresh);
      if (gone.empty() && fresh.empty()) out += "    ~ its entries stand in another order\n";
      break;
    }
  }
  return out;
}

}  // namespace dots::data::client
