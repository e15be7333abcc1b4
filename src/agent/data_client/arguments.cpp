#include "agent/data_client/arguments.h"

#include <boost/json/serialize.hpp>
#include <map>

#include "model/text.h"

namespace dots::agent::data_client {
namespace {

namespace json = boost::json;
using data::Placement;
using data::client::Kind;
using data::client::Wish;

base::Result<std::string> text(const json::value& value, std::string_view name, std::size_t most) {
  const json::string* found = value.if_string();
  if (found == nullptr || found->empty() || found->size() > most ||
      !model::is_plain_text({found->data(), found->size()})) {
    return base::Error{"'" + std::string(name) + "' must be a text of 1 to " + std::to_string(most) + " bytes"};
  }
  return std::string(found->data(), found->size());
}

base::Result<void> place(const json::object& arguments, Kind kind, Placement& placement) {
  const json::value* insert = arguments.if_contains("insert");
  const json::value* point = arguments.if_contains("point");
  if (insert == nullptr && point == nullptr) return {};
  if (kind != Kind::acl) return base::Error{"only filters have an order"};
  const std::map<std::string, Placement::Where> words{{"first", Placement::Where::first},
                                                      {"last", Placement::Where::last},
                                                      {"before", Placement::Where::before},
                                                      {"after", Placement::Where::after}};
  const auto where =
      insert == nullptr || !insert->is_string() ? words.end() : words.find(std::string(insert->as_string()));
  if (where == words.end()) return base::Error{"'insert' must be first, last, before or after"};
  placement.where = where->second;
  const bool relative = placement.where == Placement::Where::before || placement.where == Placement::Where::after;
  if (relative != (point != nullptr)) {
    return base::Error{relative ? "'point' is missing: the filter that it stands next to"
                                : "'point' goes with before and after alone"};
  }
  if (point == nullptr) return {};
  auto name = text(*point, "point", 64);
  if (!name) return name.error();
  placement.point = {std::move(*name)};
  return {};
}

}  // namespace

base::Result<DataArguments> parse_arguments(std::string_view operation, const json::object& arguments) {
  DataArguments out;
  Wish& wish = out.wish;
  const bool put = operation.ends_with("-put");
  const bool erase = operation.ends_with("-delete");
  const bool list = operation == "aliases" || operation == "filters";
  wish.kind = operation.starts_with("filter") ? Kind::acl : Kind::alias;
  wish.what = put ? Wish::What::put : erase ? Wish::What::erase : list ? Wish::What::list : Wish::What::capabilities;
  const json::value* entry = nullptr;
  for (const auto& [key, value] : arguments) {
    const std::string_view name{key.data(), key.size()};
    if (name == "server") {
      auto server = text(value, name, 255);
      if (!server) return server.error();
      out.server = std::move(*server);
    } else if (name == "name" && (erase || list)) {
      auto found = text(value, name, 255);
      if (!found) return found.error();
      wish.name = std::move(*found);
      if (list) wish.what = Wish::What::show;
    } else if (name == "kept" && list) {
      if (!value.is_bool()) return base::Error{"'kept' must be true or false"};
      out.kept = value.as_bool();
    } else if (name == "if-match" && (put || erase)) {
      auto tag = text(value, name, 256);
      if (!tag) return tag.error();
      wish.if_match = std::move(*tag);
    } else if (name == "create-only" && put) {
      if (!value.is_bool()) return base::Error{"'create-only' must be true or false"};
      wish.create_only = value.as_bool();
    } else if (name == "entry" && put) {
      entry = &value;
    } else if ((name != "insert" && name != "point") || !put) {
      return base::Error{"'" + std::string(name.substr(0, 64)) + "' is no argument of " + std::string(operation)};
    }
  }
  if (erase && wish.name.empty()) return base::Error{"'name' is missing"};
  if (!put) return out;
  if (entry == nullptr || !entry->is_object()) return base::Error{"'entry' must be an object"};
  if (wish.create_only && !wish.if_match.empty()) return base::Error{"'create-only' and 'if-match' exclude each other"};
  if (auto placed = place(arguments, wish.kind, wish.placement); !placed) return placed.error();
  auto read = data::client::read_entry(wish.kind, json::serialize(*entry));
  if (!read) {
    return base::Error{read.error().message + (read.error().path.empty() ? "" : " (at " + read.error().path + ")")};
  }
  wish.entry = std::move(*read);
  return out;
}

}  // namespace dots::agent::data_client
