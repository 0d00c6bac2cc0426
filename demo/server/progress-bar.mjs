// @ts-check

const STAGES = { download: 'downloading', unpack: 'unpacking', check: 'checking' };

/**
 * Draws progress: one line redrawn on a terminal, else a plain line now and then.
 *
 * @param {{ write(text: string): unknown, isTTY?: boolean, columns?: number }} out
 * @param {() => number} now in milliseconds
 */
export function createProgressBar(out, now = () => performance.now()) {
  const redraw = out.isTTY === true;
  const interval = redraw ? 100 : 5000;
  /** @type {{ name: string, startedAt: number, startedWith: number, drawnAt: number, open: boolean } | undefined} */
  let stage;

  function end() {
    if (redraw && stage?.open === true) out.write('\n');
    if (stage !== undefined) stage.open = false;
  }

  /** @param {import('./model-spec.mjs').FetchProgress} progress */
  function update(progress) {
    const { done, total } = progress;
    const time = now();
    const over = done >= total;
    if (stage?.name !== progress.stage || done < stage.startedWith) {
      end();
      // A log is spared the 0 %.
      stage = {
        name: progress.stage,
        startedAt: time,
        startedWith: done,
        drawnAt: redraw ? -Infinity : time,
        open: true,
      };
    }
    if (!stage.open || (time - stage.drawnAt < interval && !over)) return;
    const rate = (done - stage.startedWith) / ((time - stage.startedAt) / 1000);
    const text = `${STAGES[progress.stage].padEnd(11)} ${progressText(done, total, rate)}`;
    out.write(redraw ? `\r${text.slice(0, (out.columns || 80) - 1)}\x1b[K` : `${text}\n`);
    stage.drawnAt = time;
    stage.open = true;
    if (over) end();
  }

  return {
    update,
    /** Leaves the line, so that what comes next starts on one of its own. */
    end,
  };
}

/**
 * @param {number} done bytes
 * @param {number} total bytes
 * @param {number} rate bytes a second
 */
export function progressText(done, total, rate) {
  const share = total > 0 ? done / total : 0;
  const width = 16;
  const bar = '#'.repeat(Math.floor(share * width)).padEnd(width, '-');
  const known = rate > 0 && Number.isFinite(rate);
  const parts = [
    `[${bar}] ${String(Math.floor(share * 100)).padStart(3)} %`,
    `${megabytes(done)} of ${megabytes(total)} MB`,
    ...(known ? [`${megabytes(rate)} MB/s`] : []),
    ...(known && done < total ? [`${duration((total - done) / rate)} left`] : []),
  ];
  return parts.join('  ');
}

/** @param {number} bytes */
function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}

/** @param {number} seconds */
function duration(seconds) {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
