"use strict";
// Polar stereographic, EPSG:3413 on WGS84: Snyder (1987), equations 21-33 to 21-39 and 7-9.
const polar = (function () {
  const A = 6378137, E = Math.sqrt(0.0066943799901413165), TRUE_AT = 70, STRAIGHT = -45;
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const bent = (phi) => Math.pow((1 - E * Math.sin(phi)) / (1 + E * Math.sin(phi)), E / 2);
  const t = (phi) => Math.tan(Math.PI / 4 - phi / 2) / bent(phi);
  const at = radians(TRUE_AT);
  const scale = (A * Math.cos(at)) / Math.sqrt(1 - (E * Math.sin(at)) ** 2) / t(at);

  function forward(longitude, latitude) {
    const rho = scale * t(radians(latitude)), angle = radians(longitude - STRAIGHT);
    return [rho * Math.sin(angle), -rho * Math.cos(angle)];
  }

  function inverse(x, y) {
    const ts = Math.hypot(x, y) / scale;
    let phi = Math.PI / 2 - 2 * Math.atan(ts);
    for (let turn = 0; turn < 6; turn += 1) phi = Math.PI / 2 - 2 * Math.atan(ts * bent(phi));
    const longitude = (Math.atan2(x, -y) * 180) / Math.PI + STRAIGHT;
    return [((longitude + 540) % 360) - 180, (phi * 180) / Math.PI];
  }
  return { forward, inverse };
})();
