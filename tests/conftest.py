"""Property tests draw the same examples in every run (HYPOTHESIS_PROFILE=random draws new ones); slow tests are named.

Plain `pytest` leaves out what is slow and stands here in one list, by folder and by the name of the test function: what
it runs goes through every chapter in a few minutes on two cores. `pytest -m slow` runs the rest, `pytest -m ""` everything.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fixed", derandomize=True)
settings.register_profile("random", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

SLOW_FOLDERS = {"peers", "browser"}
SLOW = {
    # programs of many equations, and learning in many steps
    "test_what_no_table_holds_is_filtered",
    "test_the_error_does_not_grow",
    "test_learning_climbs_to_where_it_is_flat",
    "test_an_input_that_matters_is_found",
    # pictures of every case in every view
    "test_compact_pictures_in_every_view_and_style",
    "test_nothing_overlaps_in_any_view_of_any_cell",
    "test_nothing_overlaps_however_parameters_are_drawn",
    "test_nothing_overlaps_in_random_templates",
    "test_no_line_crosses_a_name_in_any_view_of_any_cell",
    "test_no_line_crosses_a_name_in_random_templates",
    "test_numbers_fit_into_nodes",
    "test_every_case_has_a_page",
    "test_matplotlib_writes_files",
    "test_networkx_takes_graphml",
    "test_twenty_slices_of_eight_units_stay_below_a_megabyte",
    "test_every_figure_is_drawn",
    # other programs
    "test_pdflatex_takes_tikz",
    "test_pdflatex_makes_a_slide_for_each_step",
    "test_pdflatex_gives_the_width_that_was_asked_for",
    "test_graphviz_takes_dot",
    # a process of its own
    "test_example",
    "test_the_answer_depends_on_no_hash_seed",
    "test_pictures_do_not_depend_on_the_order_of_hashes",
    "test_the_order_does_not_depend_on_the_hash_seed",
    "test_the_schedule_depends_on_no_hash_seed",
    "test_the_module_runs_and_a_second_run_says_the_same",
    "test_the_command_reads_what_programs_write",
    "test_the_command_names_mistakes",
    # derivatives of derivatives, and differences, of every case
    "test_the_adjoint_of_the_adjoint_gives_second_derivatives",
    "test_second_derivatives_are_differences_of_gradients",
    "test_gradients_equal_finite_differences",
    "test_rtrl_equals_bptt",
    # programs of every case in every mode
    "test_a_program_comes_back_as_it_was",
    "test_templates_that_were_wrong_once",
    "test_joblib_carries_programs_to_other_processes",
    "test_the_general_program_serves_all_longer_sequences",
    "test_checkpoints_change_no_gradient",
    "test_blocks_change_no_gradient",
    "test_the_source_stands_alone",
    "test_results_do_not_lie_in_memory_that_later_runs_use",
    # random models and templates, and all named ones
    "test_named_structures_equal_enumeration",
    "test_logarithms_give_what_probabilities_give",
    "test_random_networks_equal_variable_elimination",
    "test_a_model_with_its_posteriors",
    "test_a_reader_who_has_seen_enough",
    "test_a_long_run_is_folded",
    "test_correspondences_hold_where_a_review_saw_them_fail",
    "test_the_hessian_is_symmetric",
    "test_random_networks_equal_enumeration",
    "test_checkpoints_of_random_templates_change_no_gradient",
    "test_the_program_of_random_templates_equals_the_sweep",
    "test_the_adjoint_template_of_random_templates_equals_the_sweep",
    "test_rtrl_of_random_templates_equals_bptt",
    "test_samples_have_the_posterior_as_their_frequencies",
    "test_all_correspondences_hold",
    "test_approximations_are_as_good_as_is_said",
    # long sequences and large models
    "test_a_long_graph_needs_no_recursion",
    "test_long_sequences_with_zeros_and_many_symbols_stay_finite",
    "test_the_way_to_a_file_and_back",
    "test_every_cell",
    "test_texts_of_all_kinds",
    "test_every_activation",
    "test_ten_thousand_steps_are_the_filter",
    "test_learning_never_lowers_the_likelihood_and_ends_where_its_gradient_is_zero",
    "test_a_model_is_learnt_from_a_pattern",
    "test_states_that_are_all_alike_are_told_apart",
    # processes that die
    "test_a_worker_that_is_killed_changes_no_bit",
    "test_a_run_that_is_killed_goes_on_to_the_same_model",
}


def pytest_collection_modifyitems(items):
    """Mark the slow tests."""
    for item in items:
        folder = Path(item.path).parent.name
        if folder in SLOW_FOLDERS or getattr(item, "originalname", item.name) in SLOW:
            item.add_marker(pytest.mark.slow)
