/**
 * numpy's `default_rng(0)`: PCG64 (O'Neill 2014, XSL-RR 128/64), from the state that numpy seeds,
 * which the exporter writes down; and the draws of numpy's `Generator` that preparing a cloud uses.
 */

const MASK = (1n << 128n) - 1n;
const MASK64 = (1n << 64n) - 1n;
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;

export class Random {
  /** @param {{state: string, inc: string}} seeded 128-bit numbers in decimal. */
  constructor({ state, inc }) {
    this.state = BigInt(state);
    this.inc = BigInt(inc);
    this.half = null;
  }

  next64() {
    this.state = (this.state * MULTIPLIER + this.inc) & MASK;
    const high = this.state >> 64n;
    const word = (high ^ this.state) & MASK64;
    const turn = high >> 58n;
    return ((word >> turn) | (word << ((64n - turn) & 63n))) & MASK64;
  }

  /** Two from each 64 bits, the low half first. */
  next32() {
    if (this.half !== null) {
      const kept = this.half;
      this.half = null;
      return kept;
    }
    const word = this.next64();
    this.half = Number(word >> 32n);
    return Number(word & 0xffffffffn);
  }

  /** `random(count)`: in [0, 1). */
  doubles(count) {
    return Float64Array.from({ length: count }, () => Number(this.next64() >> 11n) / 2 ** 53);
  }

  /** `permutation(count)`, for fewer than 2**32. */
  permutation(count) {
    const order = Int32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.upTo(i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** A whole number in [0, most], by rejection under the smallest mask. */
  upTo(most) {
    const mask = 2 ** (32 - Math.clz32(most)) - 1;
    for (;;) {
      const value = (this.next32() & mask) >>> 0;
      if (value <= most) return value;
    }
  }
}
