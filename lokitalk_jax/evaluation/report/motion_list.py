"""The scores of motion and sharpness in the order of the report."""

from lokitalk_jax.evaluation.report.score_list import Score

MOTION = (
    Score(
        "motion.lip_correlation",
        "Lip correlation",
        3,
        "higher",
        "Correlation of the mouth's opening with the true one.",
    ),
    Score(
        "motion.lip_concordance",
        "Lip concordance",
        3,
        "higher",
        "Lin's concordance correlation: 1 only if the openings are equal.",
    ),
    Score(
        "motion.lip_amplitude",
        "Lip amplitude",
        2,
        "",
        "Deviation of the opening over the true one: 1 is right, below it the lips "
        "move too little.",
    ),
    Score(
        "motion.lip_lag_ms",
        "Lips late by, ms",
        0,
        "",
        "Delay of the lips against the true lips, to an eighth of a frame.",
    ),
    Score(
        "motion.closure",
        "Closures",
        2,
        "higher",
        "Share of the true lips' closures at p, b and m that the render shows.",
    ),
    Score(
        "motion.silence_leakage",
        "Leakage in silence",
        2,
        "lower",
        "Share of silent frames in which the lips move more than the true lips.",
    ),
    Score(
        "motion.silence_motion",
        "Lips in silence",
        2,
        "",
        "Change of the opening a frame in silence, thousandths of a face width.",
    ),
    Score(
        "motion.silence_motion_truth",
        "True lips in silence",
        2,
        "",
        "The same for the true frames.",
    ),
    Score(
        "motion.wobble",
        "Wobble",
        1,
        "lower",
        "Fast motion of the head, thousandths of a face width; compare with the "
        "truth's.",
    ),
    Score(
        "motion.wobble_truth",
        "Wobble of truth",
        1,
        "",
        "The same for the true frames.",
    ),
    Score(
        "composite",
        "Composite",
        3,
        "higher",
        "Mean nearness to the truth in eight respects, in the form of THEval with "
        "stand-ins for its networks; ours, not comparable with its figures.",
    ),
)
DYNAMICS = (
    Score(
        "motion.lip_speeds",
        "Lip speeds",
        3,
        "lower",
        "Difference of the spectra of speed, 0 to 1.",
    ),
    Score(
        "motion.head_amplitude",
        "Head amplitude",
        2,
        "",
        "Deviation of the head's place, size and turn over the true one.",
    ),
    Score("motion.head_speeds", "Head speeds", 3, "lower", "As for the lips."),
    Score(
        "motion.brow_amplitude",
        "Brow amplitude",
        2,
        "",
        "Deviation of the brows' height over the true one.",
    ),
    Score("motion.brow_speeds", "Brow speeds", 3, "lower", "As for the lips."),
    Score(
        "frame.sharpness",
        "Sharpness",
        3,
        "higher",
        "Share of the detail that a further blur would take; compare with the truth's.",
    ),
    Score("frame.sharpness_truth", "Sharpness of truth", 3, "", "The true frames'."),
    Score("lip.sharpness", "Mouth sharpness", 3, "higher", "The same of the lips."),
    Score(
        "lip.sharpness_truth",
        "True mouth's sharpness",
        3,
        "",
        "The same of the true lips.",
    ),
)
