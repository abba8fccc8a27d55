"use strict";
// What the listening pages compute. Touches neither page nor sound, so that a test can call it.
const statistics = (() => {
  // Probability that who guesses gets `correct` or more of `trials` right: exact, one-sided.
  // Whole numbers up to the division, which rounds once; trials up to 1000.
  function binomialTail(correct, trials) {
    if (!Number.isInteger(correct) || !Number.isInteger(trials) || correct < 0
      || correct > trials || trials < 1 || trials > 1000) {
      throw new RangeError(`${correct} of ${trials} trials: expected 0 ≤ correct ≤ trials ≤ 1000`);
    }
    let ways = 1n, sum = 0n;
    const n = BigInt(trials), from = BigInt(correct);
    for (let k = 0n; k <= n; k += 1n) {
      if (k >= from) sum += ways;
      ways = ways * (n - k) / (k + 1n);
    }
    return Number(sum) / Math.pow(2, trials);
  }

  // Fewest correct answers of `trials` whose tail is at most `alpha`; trials + 1 if there is none.
  function criticalCorrect(trials, alpha) {
    for (let correct = 0; correct <= trials; correct += 1) {
      if (binomialTail(correct, trials) <= alpha) return correct;
    }
    return trials + 1;
  }

  // Probability that who is right in a share `skill` of the trials reaches the critical number.
  function power(trials, alpha, skill) {
    const from = criticalCorrect(trials, alpha);
    let sum = 0, logWays = 0;
    for (let k = 0; k <= trials; k += 1) {
      if (k >= from) {
        sum += Math.exp(logWays + k * Math.log(skill) + (trials - k) * Math.log1p(-skill));
      }
      logWays += Math.log(trials - k) - Math.log(k + 1);
    }
    return Math.min(1, sum);
  }

  // Whole number 0 … below − 1, each equally likely, from the browser's cryptographic source.
  function randomIndex(below) {
    const limit = Math.floor(0x100000000 / below) * below;
    const word = new Uint32Array(1);
    do crypto.getRandomValues(word); while (word[0] >= limit);
    return word[0] % below;
  }

  // A copy in random order, every order equally likely (Fisher and Yates).
  function shuffled(list, index = randomIndex) {
    const copy = [...list];
    for (let last = copy.length - 1; last > 0; last -= 1) {
      const other = index(last + 1);
      [copy[last], copy[other]] = [copy[other], copy[last]];
    }
    return copy;
  }

  function randomName() {
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function logGamma(x) { // Lanczos, g = 7, nine terms
    const terms = [0.99999999999980993, 676.5203681218851, -1259.1392167224028,
      771.32342877765313, -176.61502916214059, 12.507343278686905, -0.13857109526572012,
      9.9843695780195716e-6, 1.5056327351493116e-7];
    let sum = terms[0];
    for (let i = 1; i < 9; i += 1) sum += terms[i] / (x - 1 + i);
    const t = x + 6.5;
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
  }

  // Regularised incomplete beta function by its continued fraction (Lentz).
  function betaPart(x, a, b) {
    if (x > (a + 1) / (a + b + 2)) return 1 - betaPart(1 - x, b, a);
    const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b)
      + a * Math.log(x) + b * Math.log1p(-x)) / a;
    let c = 1, d = 1 / (1 - (a + b) * x / (a + 1)), sum = d;
    for (let m = 1; m < 500; m += 1) {
      const even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      d = 1 / (1 + even * d); c = 1 + even / c; sum *= c * d;
      const odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      d = 1 / (1 + odd * d); c = 1 + odd / c; sum *= c * d;
      if (Math.abs(c * d - 1) < 1e-15) break;
    }
    return front * sum;
  }

  // The t that Student's distribution exceeds on either side with probability 0.05 together.
  function studentT95(freedom) {
    let low = 0, high = 20;
    for (let step = 0; step < 80; step += 1) {
      const middle = (low + high) / 2;
      const outside = betaPart(freedom / (freedom + middle * middle), freedom / 2, 0.5);
      if (outside > 0.05) low = middle; else high = middle;
    }
    return (low + high) / 2;
  }

  // Mean opinion score, and half its 95 % interval: null for a single rating, which has none.
  function opinion(ratings) {
    const count = ratings.length;
    const mean = ratings.reduce((sum, rating) => sum + rating, 0) / count;
    if (count < 2) return { count, mean, half: null };
    const square = ratings.reduce((sum, rating) => sum + (rating - mean) ** 2, 0) / (count - 1);
    return { count, mean, half: studentT95(count - 1) * Math.sqrt(square / count) };
  }

  return { binomialTail, criticalCorrect, power, randomIndex, shuffled, randomName, studentT95,
    opinion };
})();
