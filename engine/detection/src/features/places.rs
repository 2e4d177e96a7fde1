//! Where on earth a logon came from, if its record says so. Nothing is looked up: without a field
//! of the sensor there is no place.

use serde::{Deserialize, Serialize};
use threat::Event;
use threat::event::Value;

/// Fields of latitude and longitude: of Zeek, OCSF, and the Elastic Common Schema.
const COORDINATES: [(&str, &str); 3] = [
    ("remote_location.latitude", "remote_location.longitude"),
    ("src_endpoint.location.lat", "src_endpoint.location.long"),
    ("source.geo.location.lat", "source.geo.location.lon"),
];

/// OCSF's older pair, longitude first.
const PAIR: &str = "src_endpoint.location.coordinates";

/// Fields of the country.
const COUNTRY: [&str; 3] = [
    "remote_location.country_code",
    "src_endpoint.location.country",
    "source.geo.country_iso_code",
];

/// The earth's mean radius.
const EARTH_KM: f64 = 6_371.0;

/// A point on the earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    latitude: f64,
    longitude: f64,
}

impl Place {
    /// A point, if these are degrees.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let valid = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        valid.then_some(Self { latitude, longitude })
    }

    /// Whether it is a point: what comes from outside may be none.
    pub fn sound(&self) -> bool {
        Self::new(self.latitude, self.longitude).is_some()
    }

    /// Kilometres along the surface (haversine).
    pub fn distance(&self, other: &Self) -> f64 {
        let half = |a: f64, b: f64| ((a - b).to_radians() / 2.0).sin().powi(2);
        let parallel = self.latitude.to_radians().cos() * other.latitude.to_radians().cos();
        let h =
            half(self.latitude, other.latitude) + parallel * half(self.longitude, other.longitude);
        2.0 * EARTH_KM * h.sqrt().min(1.0).asin()
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(x) => Some(*x),
        Value::Int(i) => Some(*i as f64),
        Value::Text(t) => t.parse().ok(),
        _ => None,
    }
}

/// The place that an event's record names.
pub fn of(event: &Event) -> Option<Place> {
    let field = |name| event.extra(name).and_then(number);
    for (latitude, longitude) in COORDINATES {
        if let (Some(latitude), Some(longitude)) = (field(latitude), field(longitude)) {
            return Place::new(latitude, longitude);
        }
    }
    match event.extra(PAIR)? {
        Value::List(pair) => match &pair[..] {
            [longitude, latitude] => Place::new(number(latitude)?, number(longitude)?),
            _ => None,
        },
        _ => None,
    }
}

/// The country that an event's record names.
pub fn country(event: &Event) -> Option<&str> {
    COUNTRY.into_iter().find_map(|name| event.extra(name)).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use threat::event::Origin;
    use threat::{Body, Timestamp};

    #[test]
    fn distances_are_those_of_the_map() {
        let berlin = Place::new(52.52, 13.405).unwrap();
        let tokyo = Place::new(35.68, 139.69).unwrap();
        assert!((berlin.distance(&tokyo) - 8_920.0).abs() < 40.0);
        assert_eq!(berlin.distance(&berlin), 0.0);
        assert_eq!(Place::new(91.0, 0.0), None);
        assert_eq!(Place::new(f64::NAN, 0.0), None);
    }

    #[test]
    fn places_are_read_where_sensors_write_them() {
        let event = |fields: &[(&str, Value)]| {
            let origin = Origin::new("ocsf", "authentication");
            let mut e = Event::new(Timestamp::default(), origin, Body::Generic);
            e.extra = fields.iter().map(|(n, v)| ((*n).into(), v.clone())).collect();
            e
        };
        let pair = Value::List(vec![Value::Float(13.4), Value::Float(52.5)]);
        let e = event(&[(PAIR, pair), (COUNTRY[1], Value::Text("DE".into()))]);
        assert_eq!(of(&e), Place::new(52.5, 13.4));
        assert_eq!(country(&e), Some("DE"));
        let e = event(&[
            (COORDINATES[2].0, Value::Text("52.5".into())),
            (COORDINATES[2].1, Value::Int(13)),
        ]);
        assert_eq!(of(&e), Place::new(52.5, 13.0));
        assert_eq!(country(&e), None);
        assert_eq!(of(&event(&[])), None);
    }
}
