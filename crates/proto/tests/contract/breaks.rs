//! What a contract says that an older one said otherwise. Names of fields are not on the wire, and may change.

use std::{collections::BTreeMap, fmt, ops::Range};

use protox::prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, field_descriptor_proto::Label,
};

/// Everything by its full name.
#[derive(Default)]
struct Contract {
    /// Numbers of each message and of each enum, and what they mean.
    types: BTreeMap<String, Numbers>,
    methods: BTreeMap<String, String>,
}

#[derive(Default)]
struct Numbers {
    meanings: BTreeMap<i32, String>,
    reserved: Vec<Range<i32>>,
}

/// One line for each break between a release and what is to come.
pub(crate) fn breaks(released: &FileDescriptorSet, now: &FileDescriptorSet) -> Vec<String> {
    let (released, now) = (Contract::read(released), Contract::read(now));
    let mut broken = Vec::new();
    for (name, old) in &released.types {
        match now.types.get(name) {
            Some(new) => old.breaks(name, new, &mut broken),
            None => broken.push(format!("{name} is gone")),
        }
    }
    for (name, old) in &released.methods {
        match now.methods.get(name) {
            Some(new) if new == old => {}
            Some(new) => broken.push(differs(name, old, new)),
            None => broken.push(format!("{name} is gone")),
        }
    }
    broken
}

fn differs(name: impl fmt::Display, old: &str, new: &str) -> String {
    format!("{name} was {old}, is {new}")
}

impl Numbers {
    fn breaks(&self, name: &str, new: &Self, broken: &mut Vec<String>) {
        for (number, old) in &self.meanings {
            match new.meanings.get(number) {
                Some(meaning) if meaning == old => {}
                Some(meaning) => broken.push(differs(format_args!("{name}.{number}"), old, meaning)),
                None if new.is_reserved(*number) => {}
                None => broken.push(format!("{name}.{number} is gone and not reserved")),
            }
        }
        for (number, meaning) in &new.meanings {
            if self.is_reserved(*number) {
                broken.push(differs(format_args!("{name}.{number}"), "reserved", meaning));
            }
        }
    }

    fn is_reserved(&self, number: i32) -> bool {
        self.reserved.iter().any(|range| range.contains(&number))
    }
}

impl Contract {
    fn read(set: &FileDescriptorSet) -> Self {
        let mut contract = Self::default();
        for file in &set.file {
            let package = file.package();
            for message in &file.message_type {
                contract.message(package, message);
            }
            for values in &file.enum_type {
                contract.values(package, values);
            }
            for service in &file.service {
                for method in &service.method {
                    let streams = |streams| if streams { "stream " } else { "" };
                    let signature = format!(
                        "({}{}) returns ({}{})",
                        streams(method.client_streaming()),
                        method.input_type(),
                        streams(method.server_streaming()),
                        method.output_type()
                    );
                    let name = format!("{package}.{}.{}", service.name(), method.name());
                    contract.methods.insert(name, signature);
                }
            }
        }
        contract
    }

    fn message(&mut self, parent: &str, message: &DescriptorProto) {
        let name = format!("{parent}.{}", message.name());
        for nested in &message.nested_type {
            self.message(&name, nested);
        }
        for values in &message.enum_type {
            self.values(&name, values);
        }
        let meanings = message
            .field
            .iter()
            .map(|field| (field.number(), meaning(message, field)));
        let reserved = message.reserved_range.iter();
        let numbers = Numbers {
            meanings: meanings.collect(),
            reserved: reserved.map(|range| range.start()..range.end()).collect(),
        };
        self.types.insert(name, numbers);
    }

    /// An enum's ranges include their end (descriptor.proto).
    fn values(&mut self, parent: &str, values: &EnumDescriptorProto) {
        let meanings = values
            .value
            .iter()
            .map(|value| (value.number(), value.name().to_owned()));
        let reserved = values.reserved_range.iter();
        let numbers = Numbers {
            meanings: meanings.collect(),
            reserved: reserved
                .map(|range| range.start()..range.end().saturating_add(1))
                .collect(),
        };
        self.types.insert(format!("{parent}.{}", values.name()), numbers);
    }
}

/// How a field is written: `repeated string`, `a.b.Message in oneof`.
fn meaning(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let repeated = if field.label() == Label::Repeated {
        "repeated "
    } else {
        ""
    };
    let named = field.type_name().trim_start_matches('.');
    let kind = if named.is_empty() {
        let kind = field.r#type().as_str_name();
        kind.trim_start_matches("TYPE_").to_lowercase()
    } else {
        named.to_owned()
    };
    // `optional` is written as a oneof of its own, and read by those who know it not.
    let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
    let oneof = oneof.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
    let oneof = oneof.map_or_else(String::new, |oneof| format!(" in {}", oneof.name()));
    format!("{repeated}{kind}{oneof}")
}
