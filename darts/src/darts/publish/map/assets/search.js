"use strict";
// What people write to find a place: coordinates in several ways, or the beginning of a slump's id.
const search = (function () {
  const HELP = "Write 69.2, -132.1 or 69°12'30\"N 132°6'W, or the beginning of a slump's id.";

  // Return longitude and latitude, or null for what is no pair of coordinates.
  function coordinates(words) {
    const text = words.trim().replace(/[′’‘`´]/g, "'").replace(/[″“”]|''/g, '"').replace(/[ºd˚]/gi, "°").replace(/[−–]/g, "-");
    const parts = halves(text);
    if (!parts) return null;
    const values = parts.map(angle);
    if (values.includes(null)) return null;
    const isLongitude = values.map(({ side }) => /[EW]/.test(side));
    if (isLongitude[0] && isLongitude[1]) return null;
    if (values.every(({ side }) => /[NS]/.test(side))) return null;
    const turned = isLongitude[0] || /[NS]/.test(values[1].side);
    const [latitude, longitude] = turned ? [values[1].value, values[0].value] : [values[0].value, values[1].value];
    return [longitude, latitude];
  }

  function halves(text) {
    const split = (found) => (found.length === 2 && found.every((part) => part.trim()) ? found.map((part) => part.trim()) : null);
    if (/[,;]/.test(text)) return split(text.split(/[,;]/));
    const lettered = text.match(/^(.*?[NSEW])\s*(.*[NSEW])$/i) && text.match(/^([^NSEW]*[NSEW])\s*([^NSEW]*[NSEW])$/i);
    if (lettered) return split([lettered[1], lettered[2]]);
    const led = text.match(/^([NSEW][^NSEW]*)([NSEW][^NSEW]*)$/i);
    if (led) return split([led[1], led[2]]);
    return split(text.split(/\s+/));
  }

  function angle(part) {
    const found = part.match(/^([NSEW])?\s*([+-])?\s*(\d+(?:\.\d+)?)\s*°?\s*(?:(\d+(?:\.\d+)?)\s*'?\s*(?:(\d+(?:\.\d+)?)\s*"?)?)?\s*([NSEW])?$/i);
    if (!found) return null;
    const [, before, sign, degrees, minutes = "0", seconds = "0", after] = found;
    const side = (before || after || "").toUpperCase();
    if ((before && after) || (sign && side) || Number(minutes) >= 60 || Number(seconds) >= 60) return null;
    const size = Number(degrees) + Number(minutes) / 60 + Number(seconds) / 3600;
    return { value: sign === "-" || /[SW]/.test(side) ? -size : size, side };
  }

  // Return `{at}`, `{slump}` or `{problem}`.
  async function find(words) {
    const text = words.trim();
    if (!text) return { problem: HELP };
    const at = coordinates(text);
    if (at) {
      if (Math.abs(at[1]) > 90 || Math.abs(at[0]) > 180) return { problem: `${text}: latitudes go to 90, longitudes to 180 degrees.` };
      if (at[1] < 40) return { problem: `${text} is ${at[1] < 0 ? "in the south" : "south of 40° N"}: the map shows the north.` };
      return { at };
    }
    if (/^[\w-]{3,64}$/.test(text)) {
      const found = await store.withId(text);
      if (found.length === 1) return { slump: found[0] };
      if (found.length > 1) return { problem: `${found.length.toLocaleString("en-GB")} slumps have ids that begin with ${text}. Write more of it.` };
      return { problem: `No slump has an id that begins with ${text}. ${HELP}` };
    }
    return { problem: `“${text}” cannot be read. ${HELP}` };
  }
  return { find, coordinates };
})();
